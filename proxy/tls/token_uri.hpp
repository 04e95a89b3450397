#pragma once
// A key in a token, as RFC 7512 writes it:
//   pkcs11:token=hubgate;object=ca?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=/etc/pin
// The PIN itself never stands in it: what is written here is shown to people and in process lists.
#include "scanner/core/result.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace hubgate::proxy {

struct TokenUri {
  std::string module_path;                        ///< absolute; the vendor's library
  std::string pin_source;                         ///< absolute path of a file, or ""
  std::string token, serial, manufacturer, model; ///< of the token; "" = any
  std::optional<unsigned long> slot_id;           ///< numbers change: better by name
  std::string object;                             ///< the key's label
  std::string id;                                 ///< its CKA_ID, raw bytes

  /// The error says which attribute is wrong. Unknown attributes are errors.
  static Result<TokenUri> parse(std::string_view text);
  std::string text() const;
};

} // namespace hubgate::proxy
