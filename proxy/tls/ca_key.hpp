#pragma once
// The authority's key: in a file, or in a token that is asked for each signature.
#include "proxy/tls/ca.hpp"
#include "proxy/tls/token.hpp"

namespace hubgate::proxy {

/// DIR/ca.token, written by `hubgate ca`: where the key is, and what the signer's process may do
/// for the module that leads there.
struct TokenPlace {
  TokenUri uri;
  bool made_here = false;         ///< then `rotate` removes it from the token
  std::vector<std::string> reads; ///< files and directories that the module opens, absolute
  bool sockets = false;           ///< the module talks to a server, or to pcscd
};

/// Nothing: the key is in a file.
Result<std::optional<TokenPlace>> read_token_place(const CaFiles& files);
Result<void> write_token_place(const CaFiles& files, const TokenPlace& place);

class CaKey {
public:
  static Result<CaKey> make_in_memory();
  /// The key of `files`. `pin`: what stood in HUBGATE_PKCS11_PIN.
  static Result<CaKey> open(const CaFiles& files, const std::string& pin);
  /// The key that the URI names.
  enum class Make { never, if_missing, another };
  static Result<CaKey> in_token(const TokenUri& uri, Make make, const std::string& pin);

  /// Of a key in a token the public half only.
  EVP_PKEY* key() const { return token_ ? token_->key() : key_.get(); }
  Token* token() const { return token_.get(); }
  bool made_now() const { return made_now_; }
  /// ecdsa-with-SHA256. Everything else of the certificate is complete.
  Result<void> sign(X509* certificate) const;

private:
  Key key_;
  std::unique_ptr<Token> token_;
  bool made_now_ = false;
};

} // namespace hubgate::proxy
