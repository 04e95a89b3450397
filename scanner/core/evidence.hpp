#pragma once
// Text that came out of a scanned object, made fit to be shown: it is data from an attacker.
#include <string>
#include <string_view>

namespace hubgate {

inline constexpr std::size_t k_evidence_max = 400; ///< characters of a finding's evidence
inline constexpr std::size_t k_where_max = 600;    ///< characters of a path inside containers

/// Escapes control characters, invalid UTF-8, bidirectional and zero-width characters as \xNN or
/// \u{NNNN}; masks secrets (tokens of hubs, clouds and forges; private keys) to their first
/// characters; cuts at `max` bytes with "…". The result is valid UTF-8 in one line.
std::string printable(std::string_view raw, std::size_t max = k_evidence_max);

/// Escapes without masking or cutting: for names.
std::string escaped(std::string_view raw);

/// `raw` with secrets masked.
std::string mask_secrets(std::string_view raw);

} // namespace hubgate
