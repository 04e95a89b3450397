#pragma once
// The rules over JavaScript, in the language of scanner/code/behaviour: a set of its own, since
// what means harm in a command means nothing in a page. A unit is the text of a file, `shell` in
// the language: lines.
#include "scanner/code/behaviour/rule_set.hpp"

namespace hubgate::javascript {

/// The text of the rules, with their samples.
extern const behaviour::RuleFile k_rule_file;
/// Raised with every change to that text.
inline constexpr std::string_view k_version = "javascript-1";

} // namespace hubgate::javascript
