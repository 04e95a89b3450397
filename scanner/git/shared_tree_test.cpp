#include "scanner/git/shared_tree.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace hubgate::git {
namespace {

struct Written {
  std::string name;
  std::string mode;
  std::uint8_t id;
};

std::string bytes_of(const std::vector<Written>& entries) {
  std::string out;
  for (const Written& entry: entries)
    out += entry.mode + " " + entry.name + '\0' + std::string(20, static_cast<char>(entry.id));
  return out;
}

std::string described(const std::vector<TreeEntry>& entries) {
  std::string out;
  for (const TreeEntry& entry: entries)
    out += std::to_string(entry.mode) + " " + std::string(entry.name) + " " + entry.oid.hex() +
           (entry.zero_padded ? " padded\n" : "\n");
  return out;
}

std::vector<Written> folder(std::size_t size) {
  std::vector<Written> out;
  for (std::size_t i = 0; i < size; ++i) {
    std::string number = std::to_string(10000 + i);
    out.push_back({"run" + number.substr(1), "40000", static_cast<std::uint8_t>(1 + i % 200)});
  }
  return out;
}

// What a whole parse says, and nothing less; the tree itself for more questions.
std::shared_ptr<const SharedTree> made(TreeShelf& shelf, const std::string& bytes) {
  auto tree = shelf.make(as_bytes(bytes));
  const auto entries = parse_tree(as_bytes(bytes));
  EXPECT_EQ(bool(tree), bool(entries));
  if (!tree || !entries) return nullptr;
  EXPECT_EQ(described((*tree)->entries()), described(*entries));
  EXPECT_EQ((*tree)->clean(), check_tree(*entries).empty());
  return *tree;
}

TEST(SharedTree, ATreeLikeTheOneBeforeCostsWhatItChanges) {
  TreeShelf shelf(Oid::k_sha1);
  auto entries = folder(1000);
  const auto first = made(shelf, bytes_of(entries));
  ASSERT_TRUE(first);
  entries.pop_back(); // as packs have them: the newest first
  EXPECT_LT(made(shelf, bytes_of(entries))->cost(), 300U);
  entries.insert(entries.begin() + 500, {"run0499b", "100644", 7});
  EXPECT_LT(made(shelf, bytes_of(entries))->cost(), 600U);
  entries.erase(entries.begin());
  entries[300].id = 9;
  EXPECT_LT(made(shelf, bytes_of(entries))->cost(), first->cost());
}

TEST(SharedTree, WhatIsWrongWithItIsFoundWhereverItStands) {
  const auto entries = folder(400);
  for (const Written& bad:
       std::vector<Written>{{".git", "40000", 3},       // a name
                            {"RUN0007", "40000", 3},    // another one's but for the case
                            {"run0007", "100644", 3},   // another one's
                            {"aaa", "100600", 3},       // a mode
                            {"zzz", "40000", 0},        // the null id
                            {"run0399", "40000", 8}}) { // twice
    for (const std::size_t at: {std::size_t{0}, std::size_t{200}, entries.size()}) {
      TreeShelf shelf(Oid::k_sha1);
      ASSERT_TRUE(made(shelf, bytes_of(entries))->clean());
      auto others = entries;
      others.insert(others.begin() + static_cast<std::ptrdiff_t>(at), bad);
      EXPECT_FALSE(made(shelf, bytes_of(others))->clean()) << bad.name << " at " << at;
      // And it is no base that anything is believed of.
      others.pop_back();
      made(shelf, bytes_of(others));
      EXPECT_TRUE(made(shelf, bytes_of(entries))->clean());
    }
  }
}

TEST(SharedTree, RandomEdits) {
  std::mt19937 chooser(11);
  TreeShelf shelf(Oid::k_sha1);
  auto entries = folder(120);
  std::shared_ptr<const SharedTree> before;
  for (int round = 0; round < 1500; ++round) {
    const std::size_t at = chooser() % entries.size();
    const auto place = entries.begin() + static_cast<std::ptrdiff_t>(at);
    switch (chooser() % 8) {
    case 0:
    case 1:
      if (entries.size() > 60) entries.erase(place);
      break;
    case 2:
    case 3:
      entries.insert(place + 1, {entries[at].name + static_cast<char>('a' + chooser() % 4),
                                 "100644", static_cast<std::uint8_t>(1 + chooser() % 99)});
      break;
    case 4:
      place->id = static_cast<std::uint8_t>(chooser() % 100);
      break;
    case 5:
      place->mode = chooser() % 4 == 0 ? "100600" : "100755";
      break;
    case 6:
      std::sort(entries.begin(), entries.end(),
                [](const Written& a, const Written& b) { return a.name < b.name; });
      break;
    default:
      if (chooser() % 20 == 0) entries = folder(100 + chooser() % 200);
    }
    std::string bytes = bytes_of(entries);
    if (chooser() % 16 == 0) bytes.resize(bytes.size() - chooser() % 30); // cut
    const auto tree = made(shelf, bytes);
    if (tree == nullptr) continue;
    if (before != nullptr) {
      // Entries that two trees share are the same ones.
      const auto others = before->entries();
      std::size_t index = 0;
      for (TreeCursor there(*before); !there.at_end(); there.next(), ++index) {
        TreeCursor here(*tree);
        if (const std::size_t n = here.shared_with(there); n != 0) {
          const auto all = tree->entries();
          for (std::size_t i = 0; i < n; ++i)
            ASSERT_TRUE(all[i].oid == others[index + i].oid &&
                        all[i].mode == others[index + i].mode);
        }
      }
    }
    before = tree;
  }
}

TEST(SharedTree, NothingAndBrokenBytes) {
  TreeShelf shelf(Oid::k_sha1);
  const auto empty = made(shelf, "");
  ASSERT_TRUE(empty);
  EXPECT_TRUE(TreeCursor(*empty).at_end());
  made(shelf, bytes_of(folder(100)));
  made(shelf, bytes_of(folder(100)).substr(0, 2000));
  made(shelf, bytes_of(folder(100)) + "40000 cut");
  made(shelf, "x" + bytes_of(folder(100)));
}

} // namespace
} // namespace hubgate::git
