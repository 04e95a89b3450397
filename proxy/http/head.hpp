#pragma once
// Heads of HTTP/1.1 messages: Beast's parser behind checks of our own that leave no room for two
// readings of one message (request smuggling). A head is complete, at most k_max_head bytes, when
// it comes here; the body is framed by what `framing` says and by nothing else.
#include "scanner/core/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hubgate::proxy {

inline constexpr std::size_t k_max_head = std::size_t{64} << 10;

inline constexpr std::size_t k_max_fields = 256;

struct Header {
  std::string name;
  std::string value;
};

/// Fields in order. Names compare without case.
class Headers {
public:
  /// The first value, or nothing.
  std::optional<std::string_view> get(std::string_view name) const;
  bool has(std::string_view name) const { return get(name).has_value(); }
  /// All values of a list field, joined by ", ".
  std::string joined(std::string_view name) const;
  void add(std::string_view name, std::string_view value);
  /// Replaces every field of that name.
  void set(std::string_view name, std::string_view value);
  void remove(std::string_view name);
  const std::vector<Header>& all() const { return fields_; }
  /// Appends "Name: value\r\n" lines. Values with control characters are left out.
  void write(std::string& out) const;

private:
  std::vector<Header> fields_;
};

enum class Framing { none, length, chunked, until_close };

struct RequestHead {
  std::string method;
  std::string target;
  Headers headers;
  Framing framing = Framing::none;
  std::uint64_t length = 0;
  bool keep_alive = true;
  bool expects_continue = false;
};

struct ResponseHead {
  int status = 0;
  Headers headers;
  Framing framing = Framing::none;
  std::uint64_t length = 0; ///< for Framing::length
  bool keep_alive = true;
};

/// Both take everything up to and including the empty line. The error says what is wrong.
Result<RequestHead> parse_request(std::string_view head);
/// `to_head`: it answers a HEAD request, so no body follows whatever the fields say (they are
/// kept).
Result<ResponseHead> parse_response(std::string_view head, bool to_head);

/// Where the head ends: one past the empty line, 0 when it is not there yet. `from`: where to go on
/// looking after more bytes came.
std::size_t head_end(std::string_view bytes, std::size_t from);

bool equals_ignoring_case(std::string_view a, std::string_view b);
std::string lower(std::string_view text);
/// Decimal digits only, no overflow.
std::optional<std::uint64_t> parse_decimal(std::string_view text);
std::string_view status_text(int status);
std::string_view trimmed(std::string_view text);

} // namespace hubgate::proxy
