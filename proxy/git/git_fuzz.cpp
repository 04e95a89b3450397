// What Git's peers send. First byte: which of the readers. What passes is understood again, and the
// answer of git-upload-pack is the same however it is cut.
#include "proxy/git/protocol.hpp"

#include <cstdlib>

namespace {

using namespace hubgate;
using namespace hubgate::proxy;

std::string told(std::string_view text, bool second_version, std::size_t cut) {
  PullAnswer reader(second_version);
  std::string out;
  for (const auto part: {text.substr(0, cut), text.substr(cut)}) {
    reader.feed(as_bytes(part));
    while (const auto one = reader.next()) {
      out += static_cast<char>(one->kind);
      out += as_text(one->bytes);
    }
  }
  return out + (reader.broken() ? "b" : reader.complete() ? "c" : "m");
}

void read_advertisement(std::string_view text, GitService service) {
  const auto passed = filter_advertisement(text, service);
  if (!passed) return;
  const auto again = filter_advertisement(*passed, service);
  if (!again || *again != *passed) std::abort();
}

void read_request(std::string_view text) {
  const auto request = read_pull_request(text);
  if (!request) return;
  const auto again = read_pull_request(request->text);
  if (!again || again->text != request->text || again->band != request->band) std::abort();
}

void read_push(std::string_view text) {
  PktReader reader;
  reader.feed(as_bytes(text));
  PushHead head;
  while (head.state() == PushHead::State::more) {
    const auto packet = reader.next();
    if (!packet) return;
    head.take(*packet);
  }
  if (head.state() != PushHead::State::complete) return;
  PktReader written;
  written.feed(as_bytes(head.text()));
  PushHead again;
  while (const auto packet = written.next())
    again.take(*packet);
  if (again.state() != PushHead::State::complete || again.text() != head.text() ||
      again.updates().size() != head.updates().size())
    std::abort();
}

// Whatever a hub offers, what is asked of it is a request that would pass here.
void read_offers(std::string_view text) {
  const auto features = read_features(text);
  if (!features) return;
  FetchWish wish;
  wish.objects.resize(2);
  wish.trees_only = true;
  if (!read_pull_request(fetch_request(*features, wish)) ||
      !read_pull_request(ref_request(*features, "refs/heads/main")))
    std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view text = as_text(Bytes{data + 2, size - 2});
  switch (data[0] % 8) {
  case 0:
    read_advertisement(text, GitService::upload_pack);
    break;
  case 1:
    read_advertisement(text, GitService::receive_pack);
    break;
  case 2:
    read_request(text);
    break;
  case 3:
    if (told(text, false, 0) != told(text, false, data[1] % (text.size() + 1))) std::abort();
    break;
  case 4:
    if (told(text, true, 0) != told(text, true, data[1] % (text.size() + 1))) std::abort();
    break;
  case 6:
    read_offers(text);
    break;
  case 7:
    (void)read_ref(text, "refs/heads/main");
    break;
  default:
    read_push(text);
    (void)gunzip(text, 100'000);
  }
  return 0;
}
