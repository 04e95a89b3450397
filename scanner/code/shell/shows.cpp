#include "scanner/code/shell/shell.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace hubgate::shell {
namespace {

constexpr std::size_t k_longest = 400;

// Nobody needs these to load a model.
constexpr std::array<std::string_view, 8> k_plain{"calc",      "xcalc",      "gnome-calculator",
                                                  "kcalc",     "galculator", "mate-calc",
                                                  "win32calc", "calculator"};
constexpr std::array<std::string_view, 2> k_asks{"whoami", "id"};
// Only by themselves: an editor with a file to edit is for the person.
constexpr std::array<std::string_view, 3> k_alone{"notepad", "mspaint", "gedit"};
constexpr std::array<std::string_view, 14> k_harmless{
    "echo",     "touch", "ls",     "pwd",  "uname", "date",  "dir",
    "hostname", "ver",   "printf", "true", "sleep", "mkdir", "cowsay"};
constexpr std::array<std::string_view, 6> k_boasts{"pwned", "hacked",    "pwn3d",
                                                   "h4ck",  "exploited", "arbitrary code"};

} // namespace

Show shows(std::string_view text) {
  if (text.empty() || text.size() > k_longest) return Show::none;
  std::string low(text);
  for (char& c: low)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  Show out = Show::none;
  for (std::size_t at = 0; at < low.size();) {
    std::size_t end = low.find_first_of(";&|\n", at);
    if (end == std::string::npos) end = low.size();
    std::size_t begin = low.find_first_not_of(" \t(", at);
    at = end + 1;
    if (begin == std::string::npos || begin >= end) continue;
    std::string_view command = std::string_view(low).substr(begin, end - begin);
    while (command.ends_with(' '))
      command.remove_suffix(1);
    for (const std::string_view starter: {"start ", "open -a ", "cmd /c ", "cmd.exe /c ", "sh -c "})
      if (command.starts_with(starter)) command.remove_prefix(starter.size());
    if (command == "cat /etc/passwd" || command == "cat /etc/shadow") {
      out = Show::plain;
      continue;
    }
    const std::size_t blank = std::min(command.find(' '), command.size());
    std::string_view program = command.substr(0, blank);
    const std::string_view rest = command.substr(blank);
    const std::size_t slash = program.find_last_of("/\\");
    if (slash != std::string_view::npos) program.remove_prefix(slash + 1);
    if (program.ends_with(".exe")) program.remove_suffix(4);
    if (program.ends_with(".app")) program.remove_suffix(4);
    const auto is = [&](const auto& words) {
      return std::find(words.begin(), words.end(), program) != words.end();
    };
    const bool redirected = rest.empty() || rest.find('>') != std::string_view::npos;
    if ((is(k_plain) && redirected) || (is(k_alone) && rest.empty()))
      out = Show::plain;
    else if (is(k_asks) && redirected)
      out = std::max(out, Show::asks);
    else if (is(k_harmless) && out == Show::none)
      out = Show::harmless;
    else if (!is(k_harmless))
      return Show::none; // something else is done
  }
  if (out == Show::harmless &&
      std::any_of(k_boasts.begin(), k_boasts.end(),
                  [&](std::string_view word) { return low.find(word) != std::string::npos; }))
    return Show::plain;
  return out;
}

} // namespace hubgate::shell
