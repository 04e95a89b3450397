#include "proxy/tls/token_uri.hpp"

#include "scanner/core/evidence.hpp"

#include <charconv>

namespace hubgate::proxy {

namespace {

constexpr std::string_view k_scheme = "pkcs11:";
constexpr std::size_t k_longest = 4096;

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (text.size() - i < 3 || digit(text[i + 1]) < 0 || digit(text[i + 2]) < 0)
      return std::nullopt;
    out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
    i += 2;
  }
  return out;
}

std::string encoded(std::string_view text, std::string_view kept) {
  static constexpr std::string_view k_digits = "0123456789ABCDEF";
  std::string out;
  for (const char c: text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       kept.find(c) != std::string_view::npos;
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += k_digits[byte >> 4];
      out += k_digits[byte & 15];
    }
  }
  return out;
}

Result<void> set(TokenUri& uri, const std::string& name, std::string value, bool query) {
  std::string* into = nullptr;
  if (query) {
    if (name == "pin-value")
      return Error{"the PIN does not belong into the URI, where others see it: use "
                   "pin-source=FILE, or HUBGATE_PKCS11_PIN"};
    if (name == "module-path") into = &uri.module_path;
    if (name == "pin-source") {
      if (value.starts_with("file://")) value.erase(0, 7);
      if (value.starts_with("file:")) value.erase(0, 5);
      into = &uri.pin_source;
    }
    if (into != nullptr && !value.starts_with("/")) return Error{name + " is no absolute path"};
  } else if (name == "slot-id") {
    unsigned long number = 0;
    const auto end = value.data() + value.size();
    const auto read = std::from_chars(value.data(), end, number);
    if (read.ec != std::errc() || read.ptr != end) return Error{"slot-id is no number"};
    if (uri.slot_id) return Error{"slot-id stands twice"};
    uri.slot_id = number;
    return {};
  } else if (name == "type") {
    if (value != "private") return Error{"type can only be private"};
    return {};
  } else {
    if (name == "token") into = &uri.token;
    if (name == "serial") into = &uri.serial;
    if (name == "manufacturer") into = &uri.manufacturer;
    if (name == "model") into = &uri.model;
    if (name == "object") into = &uri.object;
    if (name == "id") into = &uri.id;
  }
  if (into == nullptr) return Error{printable(name, 40) + " is not known here"};
  if (!into->empty()) return Error{name + " stands twice"};
  if (value.empty()) return Error{name + " is empty"};
  *into = std::move(value);
  return {};
}

Result<void> read_part(TokenUri& uri, std::string_view part, char between, bool query) {
  while (!part.empty()) {
    const std::size_t end = std::min(part.find(between), part.size());
    const std::string_view one = part.substr(0, end);
    part.remove_prefix(std::min(end + 1, part.size()));
    const std::size_t equals = one.find('=');
    if (equals == std::string_view::npos) return Error{"an attribute without a value"};
    auto value = decoded(one.substr(equals + 1));
    if (!value || value->find('\0') != std::string::npos) {
      const bool is_id = value && one.substr(0, equals) == "id"; // those may be any bytes
      if (!is_id) return Error{printable(one.substr(0, equals), 40) + " is wrongly encoded"};
    }
    if (auto known = set(uri, std::string(one.substr(0, equals)), std::move(*value), query); !known)
      return known;
  }
  return {};
}

} // namespace

Result<TokenUri> TokenUri::parse(std::string_view text) {
  const std::string prefix = "PKCS#11 URI: ";
  if (!text.starts_with(k_scheme) || text.size() > k_longest)
    return Error{prefix + "it begins with \"pkcs11:\" (RFC 7512)"};
  text.remove_prefix(k_scheme.size());
  const std::size_t query = std::min(text.find('?'), text.size());
  TokenUri out;
  auto read = read_part(out, text.substr(0, query), ';', false);
  if (read && query < text.size()) read = read_part(out, text.substr(query + 1), '&', true);
  if (!read) return Error{prefix + read.error().message};
  if (out.module_path.empty())
    return Error{prefix + "which library? add ?module-path=/path/of/the/module.so"};
  if (out.token.empty() && out.serial.empty() && !out.slot_id)
    return Error{prefix + "which token? add token=NAME"};
  if (out.object.empty() && out.id.empty()) return Error{prefix + "which key? add object=NAME"};
  return out;
}

std::string TokenUri::text() const {
  std::string out;
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty())
      out += (out.empty() ? "" : ";") + std::string(name) + "=" + encoded(value, "-._~:@+,");
  };
  add("token", token);
  add("serial", serial);
  add("manufacturer", manufacturer);
  add("model", model);
  if (slot_id) add("slot-id", std::to_string(*slot_id));
  add("object", object);
  // RFC 7512, 2.3: the whole of an id is to be percent-encoded.
  if (!id.empty()) out += (out.empty() ? "id=" : ";id=") + encoded(id, "");
  out = std::string(k_scheme) + out + "?module-path=" + encoded(module_path, "-._~:@+,/");
  if (!pin_source.empty()) out += "&pin-source=" + encoded(pin_source, "-._~:@+,/");
  return out;
}

} // namespace hubgate::proxy
