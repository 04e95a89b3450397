#pragma once
// Identifiers as Python compares them: NFKC-normalised (PEP 3131), so that letters which look like
// others, or like nothing at all, spell the names of builtins.
#include <string>
#include <string_view>

namespace hubgate::python {

inline bool is_ascii(std::string_view text) {
  for (const char c: text)
    if (static_cast<unsigned char>(c) >= 0x80) return false;
  return true;
}

/// `name` (UTF-8) with every letter that NFKC maps to ASCII letters or digits written as such:
/// mathematical alphanumerics, full width, letterlike symbols, superscripts, ligatures.
std::string normalised(std::string_view name);

} // namespace hubgate::python
