#include "proxy/cache/tags.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

namespace hubgate::proxy {

namespace {
constexpr std::size_t k_key = 32;

struct FreeContext {
  void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
};
} // namespace

Tagger::Tagger(Bytes key) {
  std::array<std::uint8_t, k_key> drawn{};
  if (key.empty()) {
    if (RAND_priv_bytes(drawn.data(), drawn.size()) != 1) return;
    key = drawn;
  }
  EVP_MAC* const kind = EVP_MAC_fetch(nullptr, "POLY1305", nullptr);
  if (kind != nullptr) {
    ready_ = EVP_MAC_CTX_new(kind);
    if (ready_ != nullptr && EVP_MAC_init(ready_, key.data(), key.size(), nullptr) != 1) {
      EVP_MAC_CTX_free(ready_);
      ready_ = nullptr;
    }
  }
  EVP_MAC_free(kind);
  OPENSSL_cleanse(drawn.data(), drawn.size());
}

Tagger::~Tagger() {
  EVP_MAC_CTX_free(ready_);
}

std::optional<Tag> Tagger::of(Bytes piece) const {
  if (ready_ == nullptr) return std::nullopt;
  const std::unique_ptr<EVP_MAC_CTX, FreeContext> context(EVP_MAC_CTX_dup(ready_));
  Tag out{};
  std::size_t size = 0;
  const bool made = context && EVP_MAC_update(context.get(), piece.data(), piece.size()) == 1 &&
                    EVP_MAC_final(context.get(), out.data(), &size, out.size()) == 1 &&
                    size == out.size();
  if (!made) return std::nullopt;
  return out;
}

} // namespace hubgate::proxy
