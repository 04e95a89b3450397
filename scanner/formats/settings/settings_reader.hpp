#pragma once
// SettingsReader: TOML, the INI dialects of Python's configparser and Git's configuration as a
// stream of settings. One permissive reading for all of them, line by line, since the same file is
// read by tools that disagree: an indented line with a '=' is both a setting and the continuation
// of the value before. https://toml.io/en/v1.0.0, https://git-scm.com/docs/git-config#_syntax.
#include <cstdint>
#include <string>
#include <string_view>

namespace hubgate::settings {

/// What hears the settings. `path`: section and key in lower case, parts with dots between them:
/// "tool.mypy.plugins", "filter.x.smudge". `value`: without its quotes; of a list one call an
/// element. `offset`: of the line on which the value begins.
class Listener {
public:
  virtual ~Listener() = default;
  virtual void on_setting(std::string_view path, std::string_view value, std::uint64_t offset) = 0;
};

/// Reads `text` to its end; linear. Returns how many sections and settings there were.
std::size_t read_settings(std::string_view text, Listener& listener);

} // namespace hubgate::settings
