#include "proxy/tls/ca_key.hpp"

#include "policy/yaml.hpp"

#include <openssl/ec.h>
#include <openssl/pem.h>

#include <sys/stat.h>

namespace hubgate::proxy {

namespace {

constexpr std::uintmax_t k_max_place = std::uintmax_t{64} << 10;

Result<Key> read_key(const CaFiles& files) {
  const File file(std::fopen(files.key().c_str(), "re"));
  if (!file) return Error{files.key().string() + ": can't be read: make one by: hubgate ca init"};
  struct stat status{};
  if (fstat(fileno(file.get()), &status) != 0 || (status.st_mode & 077) != 0)
    return Error{files.key().string() + ": others than its owner may read it: chmod 600"};
  Key key(PEM_read_PrivateKey(file.get(), nullptr, nullptr, nullptr));
  if (!key) return Error{files.key().string() + ": no private key in PEM form"};
  return key;
}

} // namespace

Result<std::optional<TokenPlace>> read_token_place(const CaFiles& files) {
  if (!std::filesystem::exists(files.token())) return std::optional<TokenPlace>();
  const std::string name = files.token().string();
  auto document = yaml::parse(HUBGATE_TRY(yaml::read_file(files.token(), k_max_place)), name);
  yaml::Mapping top = document.top();
  TokenPlace out;
  auto uri = TokenUri::parse(top.text("uri").value_or(""));
  if (uri)
    out.uri = std::move(*uri);
  else
    top.error("uri", uri.error().message);
  out.made_here = top.flag("made-here").value_or(false);
  for (auto& one: top.list("reads").value_or(std::vector<yaml::Item>()))
    out.reads.push_back(std::move(one.text));
  out.sockets = top.flag("sockets").value_or(false);
  top.finish();
  if (auto wrong = document.first_error()) return *wrong;
  return std::optional<TokenPlace>(std::move(out));
}

Result<void> write_token_place(const CaFiles& files, const TokenPlace& place) {
  std::string reads;
  for (const std::string& path: place.reads) {
    const bool plain =
        path.starts_with('/') && path.find_first_of("\"\\\n\r\t") == std::string::npos;
    if (!plain) return Error{path + ": what the module reads is named by absolute paths"};
    reads += (reads.empty() ? "reads: [\"" : ", \"") + path + "\"";
  }
  if (!reads.empty()) reads += "]\n";
  const std::string text = "uri: \"" + place.uri.text() +
                           "\"\nmade-here: " + (place.made_here ? "true\n" : "false\n") + reads +
                           (place.sockets ? "sockets: true\n" : "");
  return write_private(files.token(), 0600, [&](FILE* file) {
    return std::fwrite(text.data(), text.size(), 1, file) == 1 ? 1 : 0;
  });
}

Result<CaKey> CaKey::make_in_memory() {
  CaKey out;
  out.key_.reset(EVP_EC_gen("P-256"));
  if (!out.key_) return Error{"no key could be made: " + openssl_error()};
  return out;
}

Result<CaKey> CaKey::open(const CaFiles& files, const std::string& pin) {
  const auto place = HUBGATE_TRY(read_token_place(files));
  if (place) return in_token(place->uri, Make::never, pin);
  CaKey out;
  out.key_ = HUBGATE_TRY(read_key(files));
  return out;
}

Result<CaKey> CaKey::in_token(const TokenUri& uri, Make make, const std::string& pin) {
  CaKey out;
  Pin secret = HUBGATE_TRY(read_pin(uri, pin));
  out.token_ = HUBGATE_TRY(Token::open(uri, std::move(secret)));
  if (make != Make::another && HUBGATE_TRY(out.token_->find())) return out;
  if (make == Make::never)
    return Error{"token \"" + uri.token + "\": the authority's key is not there: " + uri.text()};
  out.made_now_ = true;
  if (auto made = out.token_->generate(); !made) return made.error();
  return out;
}

Result<void> CaKey::sign(X509* certificate) const {
  if (token_) return token_->sign(certificate);
  if (X509_sign(certificate, key_.get(), EVP_sha256()) == 0)
    return Error{"no certificate could be made: " + openssl_error()};
  return {};
}

} // namespace hubgate::proxy
