// Paths, URLs and JSON of strangers: what is accepted is canonical, and nothing of Xet is left.
#include "proxy/hub/commit_body.hpp"
#include "proxy/hub/rewrite.hpp"
#include "proxy/hub/routes.hpp"
#include "proxy/hub/tree.hpp"
#include "scanner/core/bytes.hpp"

#include <cstdlib>

namespace {

using namespace hubgate;
using namespace hubgate::proxy;

void check_target(std::string_view text) {
  auto target = parse_target(text);
  if (!target) return;
  for (const std::string& segment: target->segments) {
    if (segment.empty() || segment == "." || segment == "..") std::abort();
    if (segment.find('/') != std::string::npos && segment.substr(0, 5) != "refs/") std::abort();
    for (const char c: segment)
      if (static_cast<unsigned char>(c) < 0x20) std::abort();
  }
  const Asked asked = classify("GET", std::move(*target));
  if (asked.path.find("/../") != std::string::npos) std::abort();
}

void check_json(std::string_view text, const Origin& hub) {
  const auto out = rewrite_json(text, hub, "https://gate");
  if (!out) return;
  // Rewriting is done after one pass.
  const auto again = rewrite_json(*out, hub, "https://gate");
  if (!again) std::abort();
  if (out->find("\"xetHash\":") != std::string::npos) std::abort();
}

// What is sent on is understood in the same way again.
void check_commit(std::string_view text) {
  const auto commit = read_commit_body(text);
  if (!commit) return;
  const auto again = read_commit_body(commit->text);
  if (!again || again->text != commit->text || again->files.size() != commit->files.size() ||
      again->linked.size() != commit->linked.size())
    std::abort();
  for (std::size_t i = 0; i < commit->files.size(); ++i)
    if (again->files[i].bytes != commit->files[i].bytes ||
        !is_repository_path(commit->files[i].path))
      std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = as_text({data, size});
  const Origin hub{true, "hub.example", 443};
  check_target(text);
  if (const auto url = parse_url(text)) (void)resolve(*url, text);
  check_json(text, hub);
  check_commit(text);
  (void)rewrite_link(text, hub, "https://gate");
  (void)accept_without_xet(text);
  (void)parse_tree_page(text);
  if (const auto next = next_page(text, hub); next && next->substr(0, 1) != "/") std::abort();
  return 0;
}
