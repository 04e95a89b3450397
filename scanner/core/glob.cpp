#include "scanner/core/glob.hpp"

#include <algorithm>
#include <cstddef>

namespace hubgate {
namespace {

char folded(char c, Case letters) {
  return letters == Case::insensitive && c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

// Matches `c` against the set that begins at pattern[at] == '['. Returns the index behind the set,
// or `at` when it has no end (then '[' is itself).
std::size_t match_set(std::string_view pattern, std::size_t at, char c, Case letters,
                      bool& matches) {
  std::size_t i = at + 1;
  const bool negated = i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^');
  if (negated) ++i;
  bool found = false;
  const char wanted = folded(c, letters);
  for (bool first = true; i < pattern.size(); first = false) {
    if (pattern[i] == ']' && !first) {
      matches = c != '/' && found != negated;
      return i + 1;
    }
    const char low = folded(pattern[i], letters);
    if (i + 2 < pattern.size() && pattern[i + 1] == '-' && pattern[i + 2] != ']') {
      found = found || (low <= wanted && wanted <= folded(pattern[i + 2], letters));
      i += 3;
    } else {
      found = found || low == wanted;
      ++i;
    }
  }
  return at;
}

} // namespace

// The usual two-pointer match with one point to fall back to for `*` and one for `**`: a later star
// makes an earlier one of its kind needless, and a later `**` makes every earlier star so.
bool glob_matches(std::string_view pattern, std::string_view text, Case letters) {
  constexpr std::size_t k_none = static_cast<std::size_t>(-1);
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = k_none; // pattern index behind the last `*`
  std::size_t star_text = 0; // where its run ends
  std::size_t globstar = k_none;
  std::size_t globstar_text = 0;
  while (true) {
    if (p < pattern.size() && pattern[p] == '*') {
      if (p + 1 < pattern.size() && pattern[p + 1] == '*') {
        while (p < pattern.size() && pattern[p] == '*')
          ++p;
        // "**/x" matches "x" too.
        globstar = p;
        globstar_text = t;
        star = k_none;
        if (p < pattern.size() && pattern[p] == '/' && (t == 0 || text[t - 1] == '/')) ++p;
        continue;
      }
      star = ++p;
      star_text = t;
      continue;
    }
    bool matched = false;
    std::size_t next = p + 1;
    if (t == text.size()) {
      if (p == pattern.size()) return true;
    } else if (p < pattern.size()) {
      if (pattern[p] == '?') {
        matched = text[t] != '/';
      } else if (pattern[p] == '[') {
        const std::size_t behind = match_set(pattern, p, text[t], letters, matched);
        if (behind == p)
          matched = text[t] == '[';
        else
          next = behind;
      } else {
        matched = folded(pattern[p], letters) == folded(text[t], letters);
      }
    }
    if (matched) {
      p = next;
      ++t;
      continue;
    }
    if (star != k_none && star_text < text.size() && text[star_text] != '/') {
      p = star;
      t = ++star_text;
      continue;
    }
    if (globstar != k_none && globstar_text < text.size()) {
      p = globstar;
      t = ++globstar_text;
      star = k_none;
      // Behind a '/', "**/x" may go on with x.
      if (p < pattern.size() && pattern[p] == '/' && text[t - 1] == '/') ++p;
      continue;
    }
    return false;
  }
}

bool path_glob_matches(std::string_view pattern, std::string_view path) {
  if (pattern.find('/') == std::string_view::npos) {
    const std::size_t slash = path.rfind('/');
    if (slash != std::string_view::npos) path.remove_prefix(slash + 1);
  }
  return glob_matches(pattern, path, Case::insensitive);
}

bool repo_glob_matches(std::string_view pattern, std::string_view repo) {
  return pattern == "*" || glob_matches(pattern, repo, Case::insensitive);
}

bool holds_under(std::string_view condition, std::string_view where, std::string_view path) {
  if (condition.empty() || path.empty()) return true;
  while (!condition.empty()) {
    const std::size_t bar = std::min(condition.find('|'), condition.size());
    const std::string_view glob = condition.substr(0, bar);
    if (path_glob_matches(glob, path)) return true;
    for (std::string_view rest = where; !rest.empty();) {
      const std::size_t bang = std::min(rest.find('!'), rest.size());
      if (path_glob_matches(glob, rest.substr(0, bang))) return true;
      rest.remove_prefix(std::min(bang + 1, rest.size()));
    }
    condition.remove_prefix(std::min(bar + 1, condition.size()));
  }
  return false;
}

} // namespace hubgate
