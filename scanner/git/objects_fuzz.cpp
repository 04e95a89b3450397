// Commits, tags, trees and the checks of trees; the first byte chooses.
#include "scanner/git/tree_check.hpp"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hubgate;
  if (size == 0) return 0;
  const Bytes bytes = Bytes{data, size}.subspan(1);
  switch (data[0] % 4) {
  case 0:
    (void)git::parse_commit(bytes);
    break;
  case 1:
    (void)git::parse_tag(bytes);
    break;
  case 2:
    if (const auto entries = git::parse_tree(bytes); entries)
      if (git::check_tree(*entries).size() > 20) std::abort();
    break;
  case 3: {
    const std::string_view text = as_text(bytes);
    const std::size_t half = text.size() / 2;
    (void)git::link_target(text.substr(0, half), text.substr(half));
    (void)git::is_dot_git(text);
    break;
  }
  default:
    break;
  }
  return 0;
}
