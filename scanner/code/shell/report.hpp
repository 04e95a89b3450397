#pragma once
// Findings about shell commands, for any format that carries them.
#include "scanner/core/session.hpp"

namespace hubgate::shell {

struct Commands {
  std::uint64_t offset = 0; ///< of the text in the stream
  bool verbatim = true;     ///< byte n of the text is byte offset + n of the stream
  std::string_view condition = {};
  std::string_view title = {}; ///< "cell 3", for evidence
  /// Runs by itself when a model is loaded, rather than when a person starts it.
  bool loaded = false;
  /// Text for people: only what no honest instructions contain counts.
  bool prose = false;
};

/// Reads `text` as commands and reports what they would do. Returns how many signs were reported.
std::size_t report_shell(std::string_view text, const Commands& commands, Session& session);

/// Whether `text` holds any of the words without which no sign is made: a cheap first look.
bool may_have_signs(std::string_view text);

std::span<const Rule> shell_rules();

} // namespace hubgate::shell
