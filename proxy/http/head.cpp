#include "proxy/http/head.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/status.hpp>

#include <algorithm>
#include <array>
#include <limits>
#include <memory_resource>

namespace hubgate::proxy {

namespace http = boost::beast::http;

namespace {

char lower_char(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// Lines end in CRLF, nothing else is a control character, no line continues the one before.
std::optional<Error> check_lines(std::string_view head) {
  for (std::size_t i = 0; i < head.size(); ++i) {
    const auto c = static_cast<unsigned char>(head[i]);
    if (c == '\r') {
      if (i + 1 >= head.size() || head[i + 1] != '\n') return Error{"a bare CR in the head"};
      ++i;
      if (i + 1 < head.size() && (head[i + 1] == ' ' || head[i + 1] == '\t'))
        return Error{"a folded header line"};
    } else if (c == '\n') {
      return Error{"a bare LF in the head"};
    } else if ((c < 0x20 && c != '\t') || c == 0x7f) {
      return Error{"a control character in the head"};
    }
  }
  return std::nullopt;
}

struct Framed {
  bool has_length = false;
  std::uint64_t length = 0;
  bool chunked = false;
};

Result<Framed> framing_of(const Headers& headers) {
  Framed out;
  bool encoded = false;
  if (headers.size() > k_max_fields) return Error{"more than 256 header fields"};
  for (const Header field: headers) {
    if (equals_ignoring_case(field.name, "content-length")) {
      const auto length = parse_decimal(field.value);
      if (!length) return Error{"a Content-Length that is no number"};
      if (out.has_length) return Error{"more than one Content-Length"};
      out.has_length = true;
      out.length = *length;
    } else if (equals_ignoring_case(field.name, "transfer-encoding")) {
      if (encoded) return Error{"more than one Transfer-Encoding"};
      encoded = true;
      if (!equals_ignoring_case(field.value, "chunked"))
        return Error{"a Transfer-Encoding other than chunked"};
      out.chunked = true;
    }
  }
  if (out.chunked && out.has_length) return Error{"both Content-Length and Transfer-Encoding"};
  return out;
}

/// Where Beast puts the fields of one head: on the stack as long as they fit.
struct Scratch {
  std::array<std::byte, 4096> memory;
  std::pmr::monotonic_buffer_resource resource{memory.data(), memory.size()};
};
using Allocator = std::pmr::polymorphic_allocator<char>;

template <typename Parser> std::optional<Error> feed(Parser& parser, std::string_view head) {
  parser.header_limit(static_cast<std::uint32_t>(k_max_head));
  parser.body_limit(boost::none);
  boost::system::error_code error;
  parser.put(boost::asio::buffer(head.data(), head.size()), error);
  if (error && error != http::error::need_more) return Error{error.message()};
  if (!parser.is_header_done()) return Error{"an incomplete head"};
  return std::nullopt;
}

template <typename Fields> Headers copy_fields(const Fields& fields) {
  Headers out;
  out.reserve(16, 512);
  for (const auto& field: fields)
    out.add({field.name_string().data(), field.name_string().size()},
            {field.value().data(), field.value().size()});
  return out;
}

bool list_has(const Headers& headers, std::string_view name, std::string_view token) {
  const std::string list = headers.joined(name);
  std::string_view rest = list;
  while (!rest.empty()) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    if (equals_ignoring_case(trimmed(rest.substr(0, comma)), token)) return true;
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return false;
}

bool keeps_alive(const Headers& headers, unsigned version) {
  if (list_has(headers, "connection", "close")) return false;
  return version >= 11 || list_has(headers, "connection", "keep-alive");
}

} // namespace

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
    text.remove_suffix(1);
  return text;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return lower_char(x) == lower_char(y);
         });
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), lower_char);
  return out;
}

std::optional<std::uint64_t> parse_decimal(std::string_view text) {
  if (text.empty() || text.size() > 19) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c: text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return value;
}

std::string_view status_text(int status) {
  const auto text = http::obsolete_reason(http::int_to_status(static_cast<unsigned>(status)));
  return {text.data(), text.size()};
}

std::optional<std::string_view> Headers::get(std::string_view name) const {
  for (const Header field: *this)
    if (equals_ignoring_case(field.name, name)) return field.value;
  return std::nullopt;
}

std::string Headers::joined(std::string_view name) const {
  std::string out;
  for (const Header field: *this) {
    if (!equals_ignoring_case(field.name, name)) continue;
    if (!out.empty()) out += ", ";
    out += field.value;
  }
  return out;
}

void Headers::add(std::string_view name, std::string_view value) {
  const auto begin = static_cast<std::uint32_t>(text_.size());
  text_ += name;
  const auto middle = static_cast<std::uint32_t>(text_.size());
  text_ += value;
  slots_.push_back({begin, middle, static_cast<std::uint32_t>(text_.size())});
}

void Headers::set(std::string_view name, std::string_view value) {
  remove(name);
  add(name, value);
}

void Headers::remove(std::string_view name) {
  std::erase_if(slots_,
                [&](const Slot& slot) { return equals_ignoring_case(field(slot).name, name); });
}

void Headers::write(std::string& out) const {
  for (const Header field: *this) {
    const bool clean = std::all_of(field.value.begin(), field.value.end(), [](char c) {
      const auto byte = static_cast<unsigned char>(c);
      return (byte >= 0x20 && byte != 0x7f) || c == '\t';
    });
    if (!clean) continue;
    out += field.name;
    out += ": ";
    out += field.value;
    out += "\r\n";
  }
}

std::size_t head_end(std::string_view bytes, std::size_t from) {
  // A bare LF pair would end the head for a lenient reader: find it too, so that it is refused now
  // and not waited out.
  for (std::size_t at = bytes.find('\n', from > 3 ? from - 3 : 0); at != std::string_view::npos;
       at = bytes.find('\n', at + 1)) {
    if (at + 1 < bytes.size() && bytes[at + 1] == '\n') return at + 2;
    if (at + 2 < bytes.size() && bytes[at + 1] == '\r' && bytes[at + 2] == '\n') return at + 3;
  }
  return 0;
}

Result<RequestHead> parse_request(std::string_view head) {
  if (head.size() > k_max_head) return Error{"a head of more than 64 KiB"};
  if (auto error = check_lines(head)) return *error;
  Scratch scratch;
  http::request_parser<http::empty_body, Allocator> parser(
      std::piecewise_construct, std::make_tuple(), std::make_tuple(Allocator(&scratch.resource)));
  if (auto error = feed(parser, head)) return *error;
  const auto& message = parser.get();
  RequestHead out;
  out.method.assign(message.method_string().data(), message.method_string().size());
  out.target.assign(message.target().data(), message.target().size());
  out.headers = copy_fields(message);
  if (message.version() != 11 && message.version() != 10)
    return Error{"an HTTP version other than 1.0 and 1.1"};
  auto framed = framing_of(out.headers);
  if (!framed) return framed.error();
  if (framed->chunked && message.version() == 10) return Error{"a chunked HTTP/1.0 request"};
  if (framed->chunked)
    out.framing = Framing::chunked;
  else if (framed->has_length && framed->length > 0)
    out.framing = Framing::length;
  out.length = framed->length;
  std::size_t hosts = 0;
  for (const Header field: out.headers)
    if (equals_ignoring_case(field.name, "host")) ++hosts;
  if (hosts > 1 || (hosts == 0 && message.version() == 11))
    return Error{"not exactly one Host field"};
  out.keep_alive = keeps_alive(out.headers, message.version());
  if (const auto expect = out.headers.get("expect")) {
    if (!equals_ignoring_case(*expect, "100-continue")) return Error{"an unknown Expect field"};
    out.expects_continue = out.framing != Framing::none;
  }
  return out;
}

Result<ResponseHead> parse_response(std::string_view head, bool to_head) {
  if (head.size() > k_max_head) return Error{"a head of more than 64 KiB"};
  if (auto error = check_lines(head)) return *error;
  Scratch scratch;
  http::response_parser<http::empty_body, Allocator> parser(
      std::piecewise_construct, std::make_tuple(), std::make_tuple(Allocator(&scratch.resource)));
  parser.skip(true); // the framing is ours
  if (auto error = feed(parser, head)) return *error;
  const auto& message = parser.get();
  ResponseHead out;
  out.status = static_cast<int>(message.result_int());
  out.headers = copy_fields(message);
  auto framed = framing_of(out.headers);
  if (!framed) return framed.error();
  out.keep_alive = keeps_alive(out.headers, message.version());
  out.length = framed->length;
  if (to_head || out.status == 204 || out.status == 304 || out.status / 100 == 1) {
    out.framing = Framing::none;
  } else if (framed->chunked) {
    out.framing = Framing::chunked;
  } else if (framed->has_length) {
    out.framing = Framing::length;
  } else {
    out.framing = Framing::until_close;
    out.keep_alive = false;
  }
  return out;
}

} // namespace hubgate::proxy
