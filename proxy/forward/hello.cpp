#include "proxy/forward/hello.hpp"

#include "proxy/http/head.hpp"

#include <algorithm>
#include <optional>
#include <vector>

namespace hubgate::proxy {

namespace {

constexpr std::uint8_t k_handshake = 22;
constexpr std::uint8_t k_client_hello = 1;
constexpr std::uint16_t k_server_name = 0;
constexpr std::size_t k_record_head = 5;
constexpr std::size_t k_message_head = 4;
constexpr std::size_t k_max_record = std::size_t{16} << 10;
constexpr std::size_t k_version_and_random = 34;

// A view that gives nothing once it was asked for more than it has.
class Cursor {
public:
  explicit Cursor(Bytes bytes) : bytes_(bytes) {}
  bool failed() const { return failed_; }
  bool empty() const { return bytes_.empty(); }

  std::size_t number(std::size_t width) {
    std::size_t out = 0;
    for (const std::uint8_t byte: take(width))
      out = out << 8 | byte;
    return out;
  }
  Bytes take(std::size_t n) {
    if (n > bytes_.size()) {
      failed_ = true;
      bytes_ = {};
      return {};
    }
    const Bytes out = bytes_.first(n);
    bytes_ = bytes_.subspan(n);
    return out;
  }
  /// A part whose length stands before it.
  Bytes counted(std::size_t width) { return take(number(width)); }

private:
  Bytes bytes_;
  bool failed_ = false;
};

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

// The one name of a server_name extension; nothing when it is broken.
std::optional<std::string> name_of(Bytes extension) {
  Cursor outer(extension);
  Cursor list(outer.counted(2));
  const std::size_t type = list.number(1);
  const Bytes name = list.counted(2);
  if (outer.failed() || list.failed() || !outer.empty() || !list.empty() || type != 0)
    return std::nullopt;
  std::string out = lower(as_text(name));
  if (!out.empty() && out.back() == '.') out.pop_back();
  if (out.empty() || out.size() > 253 || !std::all_of(out.begin(), out.end(), is_name_char))
    return std::nullopt;
  return out;
}

Hello read_message(Bytes message) {
  Hello none;
  none.kind = Hello::Kind::none;
  Cursor in(message);
  in.take(k_version_and_random);
  in.counted(1); // session
  in.counted(2); // ciphers
  in.counted(1); // compressions
  if (in.failed()) return none;
  Hello out;
  out.kind = Hello::Kind::complete;
  if (in.empty()) return out; // TLS 1.2 without extensions
  Cursor extensions(in.counted(2));
  bool named = false;
  while (!extensions.failed() && !extensions.empty()) {
    const std::size_t type = extensions.number(2);
    const Bytes body = extensions.counted(2);
    if (type != k_server_name || extensions.failed()) continue;
    auto name = name_of(body);
    if (!name || named) return none;
    named = true;
    out.server_name = std::move(*name);
  }
  return in.failed() || extensions.failed() || !in.empty() ? none : out;
}

} // namespace

Hello read_hello(Bytes bytes) {
  Hello none;
  none.kind = Hello::Kind::none;
  std::vector<std::uint8_t> message;
  while (!bytes.empty()) {
    // What is there already must fit, so that other protocols are known by their first bytes.
    if (bytes[0] != k_handshake || (bytes.size() > 1 && bytes[1] != 3)) return none;
    if (bytes.size() < k_record_head) return {};
    const std::size_t length = static_cast<std::size_t>(bytes[3]) << 8 | bytes[4];
    if (length == 0 || length > k_max_record) return none;
    const Bytes rest = bytes.subspan(k_record_head);
    const Bytes here = rest.first(std::min(length, rest.size()));
    message.insert(message.end(), here.begin(), here.end());
    if (!message.empty() && message[0] != k_client_hello) return none;
    if (message.size() >= k_message_head) {
      Cursor head(Bytes(message).subspan(1));
      const std::size_t wanted = head.number(3);
      if (wanted > k_max_hello) return none;
      if (message.size() >= k_message_head + wanted)
        return read_message(Bytes(message).subspan(k_message_head, wanted));
    }
    if (rest.size() < length) return {};
    bytes = rest.subspan(length);
  }
  return {};
}

} // namespace hubgate::proxy
