// Trees one after the other, made of parts of the input: each must be what a whole parse and check
// say of it, whatever came before. The first byte says how many; each tree is the one before with a
// piece cut out and another put in.
#include "scanner/git/shared_tree.hpp"

#include <algorithm>
#include <cstdlib>

namespace {

using namespace hubgate;

std::size_t number(Bytes bytes, std::size_t at) {
  return at + 1 < bytes.size() ? std::size_t{bytes[at]} << 8 | bytes[at + 1] : 0;
}

void compare(git::TreeShelf& shelf, Bytes bytes) {
  const auto tree = shelf.make(bytes);
  const auto entries = git::parse_tree(bytes);
  if (bool(tree) != bool(entries)) std::abort();
  if (!tree) return;
  const auto shared = (*tree)->entries();
  const auto same = [](const git::TreeEntry& a, const git::TreeEntry& b) {
    return a.mode == b.mode && a.name == b.name && a.oid == b.oid && a.zero_padded == b.zero_padded;
  };
  if (!std::equal(shared.begin(), shared.end(), entries->begin(), entries->end(), same))
    std::abort();
  if ((*tree)->clean() != git::check_tree(*entries).empty()) std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t k_edit = 8;
  if (size < 1 + k_edit) return 0;
  const Bytes all{data, size};
  const std::size_t edits = std::min<std::size_t>(all[0] % 8, (size - 1) / k_edit);
  const Bytes source = all.subspan(1 + edits * k_edit);
  // Larger than what trees are compared from.
  std::vector<std::uint8_t> tree;
  for (unsigned i = 0; i < 40; ++i) {
    for (const char c: "40000 run" + std::to_string(1000 + i))
      tree.push_back(static_cast<std::uint8_t>(c));
    tree.push_back(0);
    tree.insert(tree.end(), 20, static_cast<std::uint8_t>(1 + i));
  }
  tree.insert(tree.end(), source.begin(), source.end());
  git::TreeShelf shelf(git::Oid::k_sha1);
  compare(shelf, tree);
  for (std::size_t i = 0; i < edits; ++i) {
    const Bytes edit = all.subspan(1 + i * k_edit, k_edit);
    const std::size_t at = number(edit, 0) % (tree.size() + 1);
    const std::size_t cut = std::min(number(edit, 2) % 256, tree.size() - at);
    const std::size_t from = std::min(number(edit, 4), source.size());
    const std::size_t put = std::min<std::size_t>(number(edit, 6) % 256, source.size() - from);
    const auto place = tree.begin() + static_cast<std::ptrdiff_t>(at);
    tree.erase(place, place + static_cast<std::ptrdiff_t>(cut));
    const Bytes piece = source.subspan(from, put);
    tree.insert(tree.begin() + static_cast<std::ptrdiff_t>(at), piece.begin(), piece.end());
    compare(shelf, tree);
  }
  return 0;
}
