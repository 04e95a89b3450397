#include "hook/terminal.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

namespace hubgate {

void Terminal::say(const std::string& lines) {
  std::string_view rest = lines;
  while (!rest.empty()) {
    const ssize_t n = write(STDERR_FILENO, rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    rest.remove_prefix(static_cast<std::size_t>(n));
  }
  last_ = std::chrono::steady_clock::now();
}

void Terminal::progress(const std::string& line) {
  if (std::chrono::steady_clock::now() - last_ < std::chrono::seconds(2)) return;
  say(line);
}

std::string Terminal::painted(const std::string& lines, const char* start) const {
  if (colour_ == Colour::off || lines.empty()) return lines;
  std::string out;
  std::string_view rest = lines;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    out += start;
    out += rest.substr(0, end);
    out += "\x1b[0m\n";
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return out;
}

} // namespace hubgate
