#include "scanner/gitstore/oid.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <stdexcept>

namespace hubgate::git {
namespace {

constexpr std::array<std::string_view, 4> k_kinds{"commit", "tree", "blob", "tag"};

} // namespace

std::string_view to_string(Kind kind) {
  return k_kinds[static_cast<std::size_t>(kind)];
}

std::optional<Kind> kind_from(std::string_view name) {
  for (std::size_t i = 0; i < k_kinds.size(); ++i)
    if (k_kinds[i] == name) return static_cast<Kind>(i);
  return std::nullopt;
}

std::string Oid::hex() const {
  static constexpr std::string_view k_digits = "0123456789abcdef";
  std::string out;
  out.reserve(2 * std::size_t{size});
  for (const std::uint8_t byte: view()) {
    out += k_digits[byte >> 4];
    out += k_digits[byte & 15];
  }
  return out;
}

std::optional<Oid> Oid::from_hex(std::string_view text) {
  if (text.size() != 2 * k_sha1 && text.size() != 2 * k_sha256) return std::nullopt;
  Oid out;
  out.size = static_cast<std::uint8_t>(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    unsigned digit = 0;
    if (c >= '0' && c <= '9')
      digit = static_cast<unsigned>(c - '0');
    else if (c >= 'a' && c <= 'f')
      digit = static_cast<unsigned>(c - 'a') + 10;
    else
      return std::nullopt;
    auto& byte = out.bytes[i / 2];
    byte = static_cast<std::uint8_t>((byte << 4) | digit);
  }
  return out;
}

Oid Oid::from_bytes(Bytes raw) {
  Oid out;
  out.size = static_cast<std::uint8_t>(std::min(raw.size(), k_sha256));
  std::memcpy(out.bytes.data(), raw.data(), out.size);
  return out;
}

struct ObjectHasher::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  std::size_t id_size = Oid::k_sha1;
};

ObjectHasher::ObjectHasher(std::size_t id_size) : state_(std::make_unique<State>()) {
  state_->id_size = id_size;
  const EVP_MD* hash = id_size == Oid::k_sha256 ? EVP_sha256() : EVP_sha1();
  if (state_->context == nullptr || EVP_DigestInit_ex(state_->context, hash, nullptr) != 1)
    throw std::runtime_error("the hash of Git's object ids can't be set up");
}

ObjectHasher::~ObjectHasher() {
  EVP_MD_CTX_free(state_->context);
}

void ObjectHasher::begin(Kind kind, std::uint64_t size) {
  std::string head(to_string(kind));
  head += ' ';
  head += std::to_string(size);
  head += '\0';
  if (EVP_DigestInit_ex(state_->context, nullptr, nullptr) != 1)
    throw std::runtime_error("the hash of Git's object ids can't be started");
  update(as_bytes(head));
}

void ObjectHasher::update(Bytes bytes) {
  if (EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) != 1)
    throw std::runtime_error("the hash of Git's object ids failed");
}

Oid ObjectHasher::finish() {
  Oid out;
  out.size = static_cast<std::uint8_t>(state_->id_size);
  if (EVP_DigestFinal_ex(state_->context, out.bytes.data(), nullptr) != 1)
    throw std::runtime_error("the hash of Git's object ids failed");
  return out;
}

} // namespace hubgate::git
