#include "proxy/cas/ticket.hpp"

#include "proxy/http/head.hpp"
#include "proxy/lfs/links.hpp"
#include "scanner/core/digest.hpp"

#include <boost/json.hpp>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <array>
#include <memory>
#include <stdexcept>

namespace hubgate::proxy {

namespace json = boost::json;

namespace {

constexpr std::size_t k_nonce = 12;
constexpr std::size_t k_mark = 16;                           ///< of AES-GCM
constexpr std::size_t k_ticket_most = std::size_t{48} << 10; ///< below the bounds of request heads
constexpr std::string_view k_purpose = "hubgate: tickets for a CAS";

using Cipher = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

const unsigned char* raw(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* raw(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}

// A key of its own: the same secret also signs links.
std::array<unsigned char, 32> derived(std::string_view key) {
  std::array<unsigned char, 32> out{};
  unsigned length = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), raw(k_purpose), k_purpose.size(),
       out.data(), &length);
  return out;
}

std::string text_of(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(json::string_view(name.data(), name.size()));
  return value && value->is_string() ? std::string(value->get_string()) : std::string{};
}

} // namespace

std::string seal_ticket(const CasTicket& ticket, std::string_view key) {
  json::object fields;
  fields["use"] = ticket.use;
  fields["write"] = ticket.write;
  fields["cas"] = ticket.cas;
  fields["token"] = ticket.token;
  fields["user"] = ticket.user;
  fields["name"] = ticket.name;
  fields["repo"] = ticket.repo;
  fields["expires"] = ticket.expires;
  if (!ticket.file.empty()) {
    fields["revision"] = ticket.revision;
    fields["path"] = ticket.path;
    fields["file"] = ticket.file;
    fields["oid"] = ticket.oid;
    fields["size"] = ticket.size;
  }
  const std::string plain = json::serialize(fields);
  std::string out(k_nonce + plain.size() + k_mark, '\0');
  const auto secret = derived(key);
  const Cipher cipher(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  int n = 0;
  int rest = 0;
  const bool sealed =
      RAND_bytes(raw(out), k_nonce) == 1 &&
      EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, secret.data(), raw(out)) == 1 &&
      EVP_EncryptUpdate(cipher.get(), raw(out) + k_nonce, &n, raw(plain),
                        static_cast<int>(plain.size())) == 1 &&
      EVP_EncryptFinal_ex(cipher.get(), raw(out) + k_nonce + n, &rest) == 1 &&
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, k_mark,
                          raw(out) + k_nonce + plain.size()) == 1;
  if (!sealed) throw std::runtime_error("a ticket can't be encrypted");
  return base64url(out);
}

Result<CasTicket> open_ticket(std::string_view text, std::string_view key, std::int64_t now,
                              std::string_view use) {
  const Error k_foreign{"this token was not made by this gate"};
  if (text.size() > k_ticket_most) return k_foreign;
  auto sealed = from_base64url(text);
  if (!sealed || sealed->size() < k_nonce + k_mark) return k_foreign;
  const std::size_t size = sealed->size() - k_nonce - k_mark;
  std::string plain(size, '\0');
  const auto secret = derived(key);
  const Cipher cipher(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  int n = 0;
  int rest = 0;
  const bool opened = EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, secret.data(),
                                         raw(*sealed)) == 1 &&
                      EVP_DecryptUpdate(cipher.get(), raw(plain), &n, raw(*sealed) + k_nonce,
                                        static_cast<int>(size)) == 1 &&
                      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, k_mark,
                                          raw(*sealed) + k_nonce + size) == 1 &&
                      EVP_DecryptFinal_ex(cipher.get(), raw(plain) + n, &rest) == 1;
  if (!opened) return k_foreign;
  boost::system::error_code wrong;
  const auto value = json::parse(plain, wrong);
  if (wrong || !value.is_object()) return k_foreign;
  const auto& fields = value.get_object();
  CasTicket out;
  const auto* write = fields.if_contains("write");
  const auto* expires = fields.if_contains("expires");
  if (!write || !write->is_bool() || !expires || !expires->is_int64()) return k_foreign;
  out.write = write->get_bool();
  out.cas = text_of(fields, "cas");
  out.token = text_of(fields, "token");
  out.user = text_of(fields, "user");
  out.name = text_of(fields, "name");
  out.repo = text_of(fields, "repo");
  out.use = text_of(fields, "use");
  if (out.use != use) return k_foreign;
  out.revision = text_of(fields, "revision");
  out.path = text_of(fields, "path");
  out.file = text_of(fields, "file");
  out.oid = text_of(fields, "oid");
  if (const auto* bytes = fields.if_contains("size"); bytes && bytes->is_int64())
    out.size = static_cast<std::uint64_t>(bytes->get_int64());
  out.expires = expires->get_int64();
  if (now >= out.expires) return Error{"this token has expired"};
  return out;
}

std::string session_name(const CasTicket& ticket, std::string_view key) {
  const std::string text = ticket.cas + "\n" + ticket.token + "\n" + ticket.user + "\n" +
                           ticket.path + "\n" + ticket.file;
  const auto secret = derived(key);
  Sha256 out{};
  unsigned length = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()), raw(text), text.size(),
       out.data(), &length);
  return hex(out);
}

} // namespace hubgate::proxy
