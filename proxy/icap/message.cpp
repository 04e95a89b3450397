#include "proxy/icap/message.hpp"

namespace hubgate::proxy::icap {

namespace {

constexpr std::string_view k_version = " ICAP/1.0\r\n";

// The first line in HTTP's clothes: all that is checked of heads is checked there.
Result<RequestHead> read_lines(std::string_view text) {
  const std::size_t end = text.find("\r\n");
  if (end == std::string_view::npos || !text.substr(0, end + 2).ends_with(k_version))
    return Error{"a request line without ICAP/1.0"};
  std::string dressed(text.substr(0, end + 2 - k_version.size()));
  dressed += " HTTP/1.1";
  dressed += text.substr(end);
  return parse_request(dressed);
}

std::optional<Method> method_of(std::string_view name) {
  if (name == "OPTIONS") return Method::options;
  if (name == "REQMOD") return Method::request;
  if (name == "RESPMOD") return Method::response;
  return std::nullopt;
}

// "icap://host:1344/respmod?x": the path.
Result<std::string> service_of(std::string_view uri) {
  constexpr std::string_view k_scheme = "icap://";
  if (!uri.starts_with(k_scheme)) return Error{"a URI that is not icap://"};
  const std::size_t slash = uri.find('/', k_scheme.size());
  if (slash == std::string_view::npos) return std::string("/");
  const std::string_view path = uri.substr(slash);
  return std::string(path.substr(0, path.find('?')));
}

struct Part {
  std::string_view name;
  std::size_t at = 0;
};

// "req-hdr=0, res-hdr=137, res-body=296": in order, the first at 0, a body last.
Result<std::vector<Part>> parts_of(std::string_view list) {
  std::vector<Part> out;
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    const std::string_view part = trimmed(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
    const std::size_t equals = part.find('=');
    if (equals == std::string_view::npos) return Error{"an Encapsulated part without an offset"};
    const auto at = parse_decimal(part.substr(equals + 1));
    if (!at || *at > k_max_heads) return Error{"an Encapsulated offset that is none"};
    if (out.empty() ? *at != 0 : *at <= out.back().at)
      return Error{"Encapsulated offsets out of order"};
    if (!out.empty() && out.back().name.ends_with("-body"))
      return Error{"an Encapsulated part behind the body"};
    if (out.size() == 3) return Error{"too many Encapsulated parts"};
    out.push_back({part.substr(0, equals), static_cast<std::size_t>(*at)});
  }
  if (out.empty() || !out.back().name.ends_with("-body"))
    return Error{"no body among the Encapsulated parts"};
  return out;
}

Result<void> read_parts(Head& out, std::string_view list) {
  const auto parts = HUBGATE_TRY(parts_of(list));
  const bool response = out.method == Method::response;
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
    const std::size_t size = parts[i + 1].at - parts[i].at;
    if (size > k_max_head) return Error{"a wrapped head of more than 64 KiB"};
    std::size_t* const head = parts[i].name == "req-hdr"               ? &out.request_head
                              : parts[i].name == "res-hdr" && response ? &out.response_head
                                                                       : nullptr;
    if (head == nullptr || *head != 0 || (head == &out.request_head && out.response_head != 0))
      return Error{"Encapsulated parts that don't belong together"};
    *head = size;
  }
  const std::string_view body = parts.back().name;
  out.has_body = body != "null-body";
  if (out.has_body && body != (response ? "res-body" : "req-body"))
    return Error{"a body that doesn't belong to the method"};
  if (response ? out.response_head == 0 : out.request_head == 0)
    return Error{"no head of the message that is asked about"};
  return {};
}

} // namespace

Result<Head> parse_head(std::string_view text) {
  auto lines = HUBGATE_TRY(read_lines(text));
  Head out;
  const auto method = method_of(lines.method);
  if (!method) return Error{"a method other than OPTIONS, REQMOD and RESPMOD"};
  if (lines.framing != Framing::none) return Error{"a body that is not wrapped"};
  out.method = *method;
  out.service = HUBGATE_TRY(service_of(lines.target));
  out.keep_alive = lines.keep_alive;
  out.headers = std::move(lines.headers);
  if (out.method == Method::options) return out;
  for (const Header field: out.headers)
    if (equals_ignoring_case(field.name, "allow")) {
      std::string_view rest = field.value;
      while (!rest.empty()) {
        const std::size_t comma = std::min(rest.find(','), rest.size());
        if (trimmed(rest.substr(0, comma)) == "204") out.allows_204 = true;
        rest.remove_prefix(std::min(comma + 1, rest.size()));
      }
    }
  if (const auto preview = out.headers.get("preview")) {
    out.preview = parse_decimal(*preview);
    if (!out.preview || *out.preview > k_max_preview) return Error{"a Preview that is none"};
  }
  const auto list = out.headers.get("encapsulated");
  if (!list) return Error{"no Encapsulated field"};
  if (auto read = read_parts(out, *list); !read) return read.error();
  return out;
}

} // namespace hubgate::proxy::icap
