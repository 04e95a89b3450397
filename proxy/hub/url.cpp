#include "proxy/hub/url.hpp"

#include "proxy/http/head.hpp"

#include <algorithm>
#include <array>

namespace hubgate::proxy {

namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Decodes once. Nothing on a broken escape or a control character.
std::optional<std::string> decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = hex_digit(text[i + 1]);
      const int low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) return std::nullopt;
    out += c;
  }
  return out;
}

// A hub may read what is no UTF-8 in its own way: an overlong form of a dot is a dot to some.
bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i++]);
    if (first < 0x80) continue;
    const std::size_t more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    if (first < 0xc2 || first > 0xf4 || text.size() - i < more) return false;
    for (std::size_t j = 0; j < more; ++j, ++i) {
      const auto next = static_cast<unsigned char>(text[i]);
      if (next < 0x80 || next > 0xbf) return false;
      // Overlong forms, surrogates and what is beyond U+10FFFF show in the second byte (RFC 3629).
      if (j == 0 && ((first == 0xe0 && next < 0xa0) || (first == 0xed && next > 0x9f) ||
                     (first == 0xf0 && next < 0x90) || (first == 0xf4 && next > 0x8f)))
        return false;
    }
  }
  return true;
}

// A '%' that is left after decoding and reads as an escape again.
bool encoded_twice(std::string_view text) {
  for (std::size_t i = 0; i + 2 < text.size(); ++i)
    if (text[i] == '%' && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) return true;
  return false;
}

bool is_dots(std::string_view segment) {
  return segment == "." || segment == "..";
}

// "refs/pr/1", "feature/x": what a revision with slashes may look like.
bool is_revision(std::string_view text) {
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find('/', begin), text.size());
    const auto part = text.substr(begin, end - begin);
    if (part.empty() || is_dots(part)) return false;
    begin = end + 1;
  }
  return true;
}

// Behind the first of these words a hub's URLs have a revision, or the name of one.
bool comes_before_revision(std::string_view segment) {
  static constexpr std::array<std::string_view, 17> k_words = {
      "resolve", "raw",     "blob",         "media",          "tree",           "revision",
      "commit",  "commits", "compare",      "preupload",      "paths-info",     "treesize",
      "branch",  "tag",     "super-squash", "xet-read-token", "xet-write-token"};
  return std::find(k_words.begin(), k_words.end(), segment) != k_words.end();
}

bool is_host_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

} // namespace

std::string Origin::host_field() const {
  std::string out = host.find(':') == std::string::npos ? host : "[" + host + "]";
  if (port != (tls ? 443 : 80)) out += ":" + std::to_string(port);
  return out;
}

std::string Origin::text() const {
  return (tls ? "https://" : "http://") + host_field();
}

std::string Url::without_query() const {
  return origin.text() + target.substr(0, target.find('?'));
}

Result<Url> parse_url(std::string_view text) {
  Url out;
  for (const char c: text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7f) return Error{"a URL with unprintable characters"};
  }
  const std::string scheme = lower(text.substr(0, std::min<std::size_t>(text.find(':'), 8)));
  if (scheme != "https" && scheme != "http") return Error{"not an http or https URL"};
  out.origin.tls = scheme == "https";
  text.remove_prefix(scheme.size());
  if (text.substr(0, 3) != "://") return Error{"not an http or https URL"};
  text.remove_prefix(3);
  const std::size_t end = std::min(text.find_first_of("/?#"), text.size());
  std::string_view authority = text.substr(0, end);
  std::string_view rest = text.substr(end);
  rest = rest.substr(0, rest.find('#'));
  if (authority.find('@') != std::string_view::npos)
    return Error{"a URL with user information in it"};
  out.origin.port = out.origin.tls ? 443 : 80;
  std::string_view port;
  if (!authority.empty() && authority.front() == '[') {
    const std::size_t close = authority.find(']');
    if (close == std::string_view::npos) return Error{"a URL with a broken address"};
    out.origin.host = lower(authority.substr(1, close - 1));
    if (out.origin.host.find_first_not_of("0123456789abcdef:.") != std::string::npos)
      return Error{"a URL with a broken address"};
    authority.remove_prefix(close + 1);
    if (!authority.empty() && authority.front() != ':') return Error{"a URL with a broken address"};
    if (!authority.empty()) port = authority.substr(1);
  } else {
    const std::size_t colon = std::min(authority.find(':'), authority.size());
    out.origin.host = lower(authority.substr(0, colon));
    if (colon < authority.size()) port = authority.substr(colon + 1);
    if (!std::all_of(out.origin.host.begin(), out.origin.host.end(), is_host_char))
      return Error{"a URL with a host that is none"};
  }
  while (!out.origin.host.empty() && out.origin.host.back() == '.')
    out.origin.host.pop_back();
  if (out.origin.host.empty()) return Error{"a URL without a host"};
  if (!port.empty()) {
    const auto number = parse_decimal(port);
    if (!number || *number == 0 || *number > 65535) return Error{"a URL with a port that is none"};
    out.origin.port = static_cast<std::uint16_t>(*number);
  }
  out.target = rest.empty() || rest.front() != '/' ? "/" + std::string(rest) : std::string(rest);
  return out;
}

Result<Url> resolve(const Url& base, std::string_view location) {
  if (location.substr(0, 2) == "//") return Error{"a redirect without a scheme"};
  if (!location.empty() && location.front() == '/') {
    Url out;
    out.origin = base.origin;
    out.target = std::string(location.substr(0, location.find('#')));
    for (const char c: out.target) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte <= 0x20 || byte >= 0x7f) return Error{"a redirect with unprintable characters"};
    }
    return out;
  }
  return parse_url(location);
}

std::string Target::path(std::size_t from) const {
  std::string out;
  for (std::size_t i = from; i < segments.size(); ++i) {
    if (i > from) out += '/';
    out += segments[i];
  }
  return out;
}

Result<Target> parse_target(std::string_view text) {
  if (text.empty() || text.front() != '/') return Error{"a request target that is no path"};
  if (text.find('#') != std::string_view::npos) return Error{"a fragment in the request target"};
  for (const char c: text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte == 0x7f) return Error{"a control character in the request target"};
  }
  Target out;
  const std::size_t question = std::min(text.find('?'), text.size());
  if (question < text.size()) out.query = std::string(text.substr(question + 1));
  std::string_view path = text.substr(1, question - 1);
  if (!path.empty() && path.back() == '/') path.remove_suffix(1);
  if (path.empty()) return out;
  bool word_seen = false;
  bool revision_next = false; ///< the segment before says so
  std::size_t begin = 0;
  while (begin <= path.size()) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const auto raw = path.substr(begin, end - begin);
    begin = end + 1;
    auto segment = decoded(raw);
    if (!segment) return Error{"a broken escape or a control character in the path"};
    if (segment->empty()) return Error{"an empty segment in the path"};
    if (!is_utf8(*segment)) return Error{"a path that is not UTF-8"};
    if (is_dots(*segment)) return Error{"a dot segment in the path"};
    if (segment->find('\\') != std::string::npos) return Error{"a backslash in the path"};
    if (encoded_twice(*segment)) return Error{"a path that is encoded twice"};
    const bool may_have_slash =
        segment->starts_with("refs/") || (revision_next && out.segments.size() > 1);
    if (segment->find('/') != std::string::npos && !(may_have_slash && is_revision(*segment)))
      return Error{"an encoded slash in the path"};
    revision_next = !word_seen && comes_before_revision(*segment);
    word_seen = word_seen || revision_next;
    out.segments.push_back(std::move(*segment));
    out.raw.emplace_back(raw);
  }
  return out;
}

std::optional<std::string> query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const auto pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    const std::size_t equals = std::min(pair.find('='), pair.size());
    if (pair.substr(0, equals) != name) continue;
    return decoded(pair.substr(std::min(equals + 1, pair.size())));
  }
  return std::nullopt;
}

std::string percent_encoded(std::string_view text) {
  static constexpr std::string_view k_digits = "0123456789ABCDEF";
  std::string out;
  for (const char c: text) {
    if (is_unreserved(c)) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += k_digits[byte >> 4];
    out += k_digits[byte & 15];
  }
  return out;
}

bool is_loopback_host(std::string_view host) {
  if (host == "localhost" || host == "::1") return true;
  if (host.substr(0, 4) != "127.") return false;
  return host.find_first_not_of("0123456789.") == std::string_view::npos;
}

} // namespace hubgate::proxy
