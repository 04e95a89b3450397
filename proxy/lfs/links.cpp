#include "proxy/lfs/links.hpp"

#include "policy/store.hpp"
#include "proxy/hub/routes.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>

namespace hubgate::proxy {

namespace {

constexpr std::string_view k_alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// Fields in one string that reads back in one way only: each as "length:bytes".
void put(std::string& out, std::string_view field) {
  out += std::to_string(field.size()) + ":";
  out += field;
}

std::optional<std::string> take(std::string_view& in) {
  const std::size_t colon = in.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto length = parse_decimal(in.substr(0, colon));
  if (!length || *length > in.size() - colon - 1) return std::nullopt;
  std::string out(in.substr(colon + 1, static_cast<std::size_t>(*length)));
  in.remove_prefix(colon + 1 + static_cast<std::size_t>(*length));
  return out;
}

constexpr std::array<std::string_view, 5> k_purposes = {"lfs", "upload", "verify", "part",
                                                        "complete"};

std::string_view name_of(LinkFor purpose) {
  return k_purposes[static_cast<std::size_t>(purpose)];
}

std::string payload(const LfsLink& link) {
  std::string out;
  put(out, name_of(link.purpose));
  put(out, link.url);
  put(out, link.user);
  put(out, link.hub);
  put(out, link.repo);
  put(out, hex(link.oid));
  put(out, std::to_string(link.size));
  put(out, std::to_string(link.expires));
  put(out, std::to_string(link.part));
  put(out, std::to_string(link.chunk));
  put(out, link.upload);
  for (const Header field: link.fields) {
    put(out, field.name);
    put(out, field.value);
  }
  return out;
}

std::string mac(std::string_view key, std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(), &length);
  return {reinterpret_cast<const char*>(digest.data()), length};
}

} // namespace

std::string base64url(std::string_view bytes) {
  std::string out;
  std::uint32_t held = 0;
  int bits = 0;
  for (const char c: bytes) {
    held = (held << 8 | static_cast<unsigned char>(c)) & 0xffffff;
    bits += 8;
    while (bits >= 6) {
      bits -= 6;
      out += k_alphabet[held >> bits & 63];
    }
  }
  if (bits > 0) out += k_alphabet[held << (6 - bits) & 63];
  return out;
}

std::optional<std::string> from_base64url(std::string_view text) {
  std::string out;
  std::uint32_t held = 0;
  int bits = 0;
  for (const char c: text) {
    const std::size_t value = k_alphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    held = (held << 6 | static_cast<std::uint32_t>(value)) & 0xffffff;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out += static_cast<char>(held >> bits & 255);
  }
  return out;
}

std::string make_link(const LfsLink& link, std::string_view key) {
  const std::string text = payload(link);
  return "/" + std::string(k_lfs_link) + "/" + std::string(name_of(link.purpose)) + "/" +
         hex(link.oid) + "?d=" + base64url(text) + "&s=" + base64url(mac(key, text));
}

Result<LfsLink> read_link(const Target& target, std::string_view key, std::int64_t now) {
  const auto data = query_value(target.query, "d");
  const auto signature = query_value(target.query, "s");
  const auto text = data ? from_base64url(*data) : std::nullopt;
  const auto given = signature ? from_base64url(*signature) : std::nullopt;
  if (!text || !given) return Error{"this link is incomplete"};
  const std::string wanted = mac(key, *text);
  if (given->size() != wanted.size() ||
      CRYPTO_memcmp(given->data(), wanted.data(), wanted.size()) != 0)
    return Error{"this link was not made by this gate"};
  std::string_view rest = *text;
  LfsLink out;
  const auto purpose = take(rest);
  const auto url = take(rest);
  const auto user = take(rest);
  const auto hub = take(rest);
  const auto repo = take(rest);
  const auto oid = take(rest);
  const auto size = take(rest);
  const auto expires = take(rest);
  const auto part = take(rest);
  const auto chunk = take(rest);
  const auto upload = take(rest);
  const auto digest = oid ? sha256_from_hex(*oid) : std::nullopt;
  const auto bytes = size ? parse_decimal(*size) : std::nullopt;
  const auto until = expires ? parse_decimal(*expires) : std::nullopt;
  const auto number = part ? parse_decimal(*part) : std::nullopt;
  const auto length = chunk ? parse_decimal(*chunk) : std::nullopt;
  const auto known = std::find(k_purposes.begin(), k_purposes.end(), purpose.value_or(""));
  if (known == k_purposes.end() || !url || !user || !hub || !repo || !digest || !bytes || !until ||
      !number || !length || !upload)
    return Error{"this link is malformed"};
  while (!rest.empty()) {
    const auto name = take(rest);
    const auto value = take(rest);
    if (!name || !value) return Error{"this link is malformed"};
    out.fields.add(*name, *value);
  }
  out.purpose = static_cast<LinkFor>(known - k_purposes.begin());
  out.url = *url;
  out.user = *user;
  out.hub = *hub;
  out.repo = *repo;
  out.oid = *digest;
  out.size = *bytes;
  out.expires = static_cast<std::int64_t>(*until);
  out.part = static_cast<std::uint32_t>(*number);
  out.chunk = *length;
  out.upload = *upload;
  if (target.segments.size() != 3 || target.segments[1] != *purpose || target.segments[2] != *oid)
    return Error{"this link names another object"};
  if (now >= out.expires) return Error{"this link has expired: fetch again"};
  return out;
}

} // namespace hubgate::proxy
