// OpenSSL's EVP interface hides the chaining value, so this file uses the low-level one, which
// OpenSSL 3 marks as deprecated but keeps, with the same SHA-NI code behind it.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "scanner/core/digest.hpp"

#include <openssl/sha.h>

#include <algorithm>
#include <cstring>

namespace hubgate {

struct BlockHasher::State {
  SHA256_CTX context{};
  std::uint64_t size = 0;
  std::vector<ChainingValue> blocks;
};

namespace {

ChainingValue chaining_value(const SHA256_CTX& context) {
  ChainingValue out{};
  std::copy_n(context.h, out.size(), out.begin());
  return out;
}

// A context that has hashed `count` whole blocks with the given chaining value.
SHA256_CTX resume(const ObjectDigest& object, std::uint64_t count) {
  SHA256_CTX context{};
  SHA256_Init(&context);
  if (count == 0) return context;
  std::copy_n(object.blocks[count - 1].begin(), 8, context.h);
  const std::uint64_t bits = count * k_block_size * 8;
  context.Nl = static_cast<SHA_LONG>(bits & 0xffffffffu);
  context.Nh = static_cast<SHA_LONG>(bits >> 32);
  return context;
}

} // namespace

std::string hex(const Sha256& digest) {
  static constexpr std::string_view k_digits = "0123456789abcdef";
  std::string out;
  out.reserve(digest.size() * 2);
  for (const std::uint8_t byte: digest) {
    out += k_digits[byte >> 4];
    out += k_digits[byte & 15];
  }
  return out;
}

Sha256 sha256(Bytes bytes) {
  Sha256 out{};
  // SHA256() looks its implementation up in each call.
  SHA256_CTX context{};
  SHA256_Init(&context);
  SHA256_Update(&context, bytes.data(), bytes.size());
  SHA256_Final(out.data(), &context);
  return out;
}

BlockHasher::BlockHasher() : state_(std::make_unique<State>()) {
  SHA256_Init(&state_->context);
}
BlockHasher::~BlockHasher() = default;
BlockHasher::BlockHasher(BlockHasher&&) noexcept = default;
BlockHasher& BlockHasher::operator=(BlockHasher&&) noexcept = default;

void BlockHasher::update(Bytes bytes) {
  while (!bytes.empty()) {
    const std::uint64_t room = k_block_size - state_->size % k_block_size;
    const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(room, bytes.size()));
    SHA256_Update(&state_->context, bytes.data(), n);
    state_->size += n;
    if (n == room) state_->blocks.push_back(chaining_value(state_->context));
    bytes = bytes.subspan(n);
  }
}

std::uint64_t BlockHasher::size() const {
  return state_->size;
}

ObjectDigest BlockHasher::finish() {
  ObjectDigest out;
  SHA256_Final(out.sha256.data(), &state_->context);
  out.size = state_->size;
  out.blocks = std::move(state_->blocks);
  return out;
}

bool block_matches(const ObjectDigest& object, std::uint64_t index, Bytes block) {
  const std::uint64_t whole = object.size / k_block_size;
  if (index > whole || index > object.blocks.size()) return false;
  SHA256_CTX context = resume(object, index);
  if (index < whole) {
    if (block.size() != k_block_size || index >= object.blocks.size()) return false;
    SHA256_Update(&context, block.data(), block.size());
    return chaining_value(context) == object.blocks[index];
  }
  if (block.size() != object.size - index * k_block_size) return false;
  SHA256_Update(&context, block.data(), block.size());
  Sha256 digest{};
  SHA256_Final(digest.data(), &context);
  return digest == object.sha256;
}

} // namespace hubgate
