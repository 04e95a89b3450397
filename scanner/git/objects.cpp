#include "scanner/git/objects.hpp"

#include "scanner/core/reader.hpp"

namespace hubgate::git {
namespace {

// Takes one "KEY value\n" off the front, if that is what comes.
std::optional<std::string_view> take_header(std::string_view& text, std::string_view key) {
  if (!text.starts_with(key) || text.size() <= key.size() || text[key.size()] != ' ')
    return std::nullopt;
  const std::size_t end = text.find('\n');
  if (end == text.npos) return std::nullopt;
  const std::string_view value = text.substr(key.size() + 1, end - key.size() - 1);
  if (value.find('\0') != value.npos) return std::nullopt;
  text.remove_prefix(end + 1);
  return value;
}

std::optional<Oid> take_oid(std::string_view& text, std::string_view key) {
  const auto value = take_header(text, key);
  if (!value) return std::nullopt;
  return Oid::from_hex(*value);
}

} // namespace

Result<Commit> parse_commit(Bytes bytes) {
  std::string_view text = as_text(bytes);
  Commit out;
  const auto tree = take_oid(text, "tree");
  if (!tree) return Error{"the commit doesn't begin with its tree"};
  out.tree = *tree;
  while (text.starts_with("parent")) {
    const auto parent = take_oid(text, "parent");
    if (!parent) return Error{"the commit has a broken parent line"};
    out.parents.push_back(*parent);
  }
  if (!take_header(text, "author")) return Error{"the commit has no author line where it must be"};
  // Old importers wrote several author lines; Git reads on.
  while (text.starts_with("author "))
    if (!take_header(text, "author")) return Error{"the commit has a broken author line"};
  if (!take_header(text, "committer"))
    return Error{"the commit has no committer line where it must be"};
  return out;
}

Result<Tag> parse_tag(Bytes bytes) {
  std::string_view text = as_text(bytes);
  Tag out;
  const auto object = take_oid(text, "object");
  if (!object) return Error{"the tag doesn't begin with its object"};
  out.object = *object;
  const auto kind = take_header(text, "type");
  if (kind == "commit")
    out.kind = Kind::commit;
  else if (kind == "tree")
    out.kind = Kind::tree;
  else if (kind == "blob")
    out.kind = Kind::blob;
  else if (kind == "tag")
    out.kind = Kind::tag;
  else
    return Error{"the tag has no known type line"};
  if (!take_header(text, "tag")) return Error{"the tag has no name line"};
  return out;
}

Result<std::vector<TreeEntry>> parse_tree(Bytes bytes, std::size_t id_size) {
  std::vector<TreeEntry> out;
  Reader reader(bytes);
  while (!reader.at_end()) {
    TreeEntry entry;
    const std::string_view rest =
        as_text(bytes.subspan(static_cast<std::size_t>(reader.position())));
    // The longest mode that fits its type is six octal digits; git's own reader takes any number.
    std::size_t digits = 0;
    while (digits < rest.size() && digits < 8 && rest[digits] >= '0' && rest[digits] <= '7') {
      entry.mode = entry.mode * 8 + static_cast<std::uint32_t>(rest[digits] - '0');
      ++digits;
    }
    if (digits == 0 || digits >= rest.size() || rest[digits] != ' ')
      return Error{"the tree has an entry without a mode"};
    entry.zero_padded = rest[0] == '0';
    const std::size_t nul = rest.find('\0', digits + 1);
    if (nul == rest.npos) return Error{"the tree has an entry whose name has no end"};
    entry.name = rest.substr(digits + 1, nul - digits - 1);
    reader.skip(nul + 1);
    const auto id = reader.take(id_size);
    if (!id) return Error{"the tree ends inside an object id"};
    entry.oid = Oid::from_bytes(*id);
    out.push_back(entry);
  }
  return out;
}

} // namespace hubgate::git
