#include "scanner/generic/tensor_name.hpp"

#include <algorithm>

namespace hubgate {

std::optional<std::string_view> odd_tensor_name(std::string_view name, std::size_t longest) {
  const auto has = [&](std::string_view part) { return name.find(part) != std::string_view::npos; };
  if (name.size() > longest) return "too long a name";
  if (std::any_of(name.begin(), name.end(),
                  [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }))
    return "control characters";
  if (has("../") || has("..\\") || name.starts_with("/") || name.starts_with("~/") ||
      name.starts_with("\\\\") || (name.size() > 2 && name[1] == ':' && name[2] == '\\'))
    return "a path";
  for (std::size_t at = name.find('%'); at != std::string_view::npos; at = name.find('%', at + 1)) {
    std::size_t i = at + 1;
    while (i < name.size() && ((name[i] >= '0' && name[i] <= '9') || name[i] == '$' ||
                               name[i] == 'l' || name[i] == 'h'))
      ++i;
    if (i < name.size() && (name[i] == 'n' || name[i] == 's' || name[i] == 'p' || name[i] == 'x'))
      return "a format";
  }
  for (std::size_t at = name.find('<'); at != std::string_view::npos; at = name.find('<', at + 1)) {
    const char next = at + 1 < name.size() ? name[at + 1] : ' ';
    if ((next >= 'a' && next <= 'z') || (next >= 'A' && next <= 'Z') || next == '/' || next == '!')
      if (has("</") || has("/>") || has("=") || has("<script")) return "markup";
  }
  if (has("$(") || has("`") || has("${")) return "a shell's substitution";
  return std::nullopt;
}

} // namespace hubgate
