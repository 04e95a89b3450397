#pragma once
// Strings that a format carries beside its weights (metadata of safetensors, key-values of GGUF):
// nobody runs them by themselves, but tools read them, and payloads are parked in them.
#include "scanner/core/session.hpp"

#include <optional>

namespace hubgate {

/// Where code stands in a text, and what it is called: "a reverse shell", "a shell pipe from the
/// network".
struct ScriptHit {
  std::size_t offset;
  std::size_t length;
  std::string_view what;
};

/// The first piece of `text` that only code is written like. Linear; words are matched without
/// regard to case and only at word boundaries, so that prose about a model stays quiet.
std::optional<ScriptHit> find_script(std::string_view text);

/// Scans a metadata string: code and links in it are findings (rules embedded-script and
/// embedded-url), and the string, and what it decodes to if it is base64 or hexadecimal, is scanned
/// as an object named `name`. `offset` is where the string lies in the stream.
void scan_text_value(Session& session, std::string_view name, std::string_view value,
                     std::uint64_t offset);

/// Rules of this file, part of generic_rules().
inline constexpr Rule k_rule_embedded_script{"embedded-script",
                                             "script",
                                             Severity::suspicious,
                                             Reach::data,
                                             "CWE-506",
                                             "AML.T0018.002",
                                             "POL-008 SAF-006",
                                             "a text beside the weights holds commands or code"};
inline constexpr Rule k_rule_embedded_url{
    "embedded-url",
    "reference",
    Severity::informational,
    Reach::data,
    "",
    "AML.T0018.002",
    "SAF-006",
    "a text beside the weights names an address on the network"};

} // namespace hubgate
