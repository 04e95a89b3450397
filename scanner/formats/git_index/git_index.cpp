// Git's tables: the index of a working copy, indexes of packs, graphs of commits. They hold ids,
// names and numbers, no content. See README.md.
#include "scanner/core/cursor.hpp"
#include "scanner/core/format.hpp"
#include "scanner/formats/git_object/tree.hpp"

#include <algorithm>

namespace hubgate {
namespace {

constexpr std::uint64_t k_sha1 = 20;

// gitformat-pack(5): "\377tOc", 2, 256 counts, then for each object id, CRC and offset; rows for
// large offsets; two checksums.
bool pack_index(Source& source, std::uint64_t size) {
  Cursor in(source, 8, size);
  std::uint32_t objects = 0;
  for (int byte = 0; byte < 256; ++byte) {
    const auto count = in.be<std::uint32_t>();
    if (!count || *count < objects) return false;
    objects = *count;
  }
  const std::uint64_t fixed = in.position() + std::uint64_t{objects} * (k_sha1 + 8) + 2 * k_sha1;
  return size >= fixed && (size - fixed) % 8 == 0 && (size - fixed) / 8 <= objects;
}

// "RIDX", 1, hash (1 SHA-1), a number for each object, two checksums.
bool reverse_index(Source& source, std::uint64_t size) {
  Reader head(source.view(0, 12));
  head.skip(4);
  return head.be<std::uint32_t>() == 1U && head.be<std::uint32_t>() == 1U && size >= 52 &&
         (size - 52) % 4 == 0;
}

// Chunk based files (gitformat-chunk(5)): ids and places of chunks behind a head of `head` bytes,
// whose byte 6 is their number; a checksum at the end.
bool chunks(Source& source, std::uint64_t size, std::uint64_t head) {
  Reader start(source.view(0, 8));
  start.skip(6);
  const auto count = start.le<std::uint8_t>();
  if (!count || size < head + k_sha1) return false;
  Cursor in(source, head, size);
  std::uint64_t last = head + (std::uint64_t{*count} + 1) * 12;
  for (unsigned i = 0; i <= *count; ++i) {
    const auto id = in.be<std::uint32_t>();
    const auto place = in.be<std::uint64_t>();
    if (!id || !place || (*id == 0) != (i == *count) || *place < last || *place > size - k_sha1)
      return false;
    last = *place;
  }
  return last == size - k_sha1;
}

// gitformat-index(5): "DIRC", version, number of entries; extensions; a checksum.
class WorkIndex {
public:
  WorkIndex(Source& source, Session& session, std::uint64_t size)
      : session_(session), in_(source, 4, size), size_(size) {}

  bool run() {
    const auto version = in_.be<std::uint32_t>();
    const auto count = in_.be<std::uint32_t>();
    if (!version || !count || *version < 2 || *version > 4) return false;
    for (std::uint32_t i = 0; i < *count; ++i)
      if (!entry(*version) || (i % 4096 == 4095 && !session_.budget().time_left())) return false;
    while (in_.position() + k_sha1 < size_) {
      if (!in_.skip(4)) return false; // the extension's name
      const auto length = in_.be<std::uint32_t>();
      if (!length || !in_.skip(*length)) return false;
    }
    return in_.position() + k_sha1 == size_;
  }

private:
  bool entry(std::uint32_t version);

  Session& session_;
  Cursor in_;
  std::uint64_t size_;
  std::string name_;
  std::size_t told_ = 0;
};

// 40 bytes of the file's state, the id, flags (bit 14: two more bytes), the path, its NUL and
// padding to a multiple of 8; version 4: how much of the path before is cut off, the rest, NUL.
bool WorkIndex::entry(std::uint32_t version) {
  constexpr std::size_t k_longest = 65536;
  const std::uint64_t begin = in_.position();
  if (!in_.skip(40 + k_sha1)) return false;
  const auto flags = in_.be<std::uint16_t>();
  if (!flags || ((*flags & 0x4000) != 0 && !in_.skip(2))) return false;
  if (version == 4) {
    // As offsets in packs: big-endian, each byte but the last stands for one more.
    std::uint64_t cut = 0;
    for (unsigned i = 0;; ++i) {
      const auto c = in_.le<std::uint8_t>();
      if (!c || i == 8) return false;
      cut = (cut << 7 | (*c & 0x7fU));
      if (*c < 0x80) break;
      ++cut;
    }
    if (cut > name_.size()) return false;
    name_.resize(name_.size() - static_cast<std::size_t>(cut));
  } else {
    name_.clear();
  }
  for (;;) {
    const auto c = in_.le<std::uint8_t>();
    if (!c || name_.size() > k_longest) return false;
    if (*c == 0) break;
    name_ += static_cast<char>(*c);
  }
  if (git::is_trick(name_) && told_++ < 20)
    session_.find(git::k_rule_tree_name, begin, 0, "the index has the path \"" + name_ + "\"");
  const std::uint64_t length = in_.position() - begin;
  return version == 4 || in_.skip((8 - length % 8) % 8);
}

Claim probe(const Probe& probe) {
  const std::string_view head = as_text(probe.head);
  using namespace std::string_view_literals;
  return head.starts_with("\377tOc\0\0\0\2"sv) || head.starts_with("DIRC\0\0\0"sv) ||
                 head.starts_with("RIDX\0\0\0\1"sv) || head.starts_with("CGPH\1\1"sv) ||
                 head.starts_with("MIDX\1\1"sv)
             ? Claim::yes
             : Claim::no;
}

Reading scan(Source& source, Session& session) {
  const std::uint64_t size = source.wait_end();
  const std::string head(as_text(source.view(0, 4)));
  const bool good = head == "DIRC"   ? WorkIndex(source, session, size).run()
                    : head == "RIDX" ? reverse_index(source, size)
                    : head == "CGPH" ? chunks(source, size, 8)
                    : head == "MIDX" ? chunks(source, size, 12)
                                     : pack_index(source, size);
  if (!good) {
    session.gap(Reason::malformed, Reach::data, 0, "a table of Git that can't be read to its end");
    return Reading::broken;
  }
  return Reading::valid;
}

} // namespace

extern const Format format_git_index;
const Format format_git_index{"git_index", "git_index", probe, scan, {}};

} // namespace hubgate
