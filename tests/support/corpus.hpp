#pragma once
// For unit tests: the good_* and bad_* files of a format's corpus (tests run in the source root).
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

namespace hubgate::test {

/// Files of `folder` whose name begins with `prefix`, by name.
inline std::map<std::string, std::string> corpus(const std::string& folder,
                                                 const std::string& prefix) {
  std::map<std::string, std::string> out;
  for (const auto& entry: std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(prefix)) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    out[name] = {std::istreambuf_iterator<char>(file), {}};
  }
  return out;
}

} // namespace hubgate::test
