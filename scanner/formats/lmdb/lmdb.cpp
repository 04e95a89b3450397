// LMDB's data.mdb and lock.mdb (lmdb.h, mdb.c 0.9): pages of a b-tree; every value is looked at.
// See README.md.
#include "scanner/core/format.hpp"
#include "scanner/core/reader.hpp"
#include "scanner/core/session.hpp"
#include "scanner/generic/values.hpp"

#include <algorithm>
#include <array>

namespace hubgate {
namespace {

constexpr std::uint32_t k_magic = 0xbeefc0de;
constexpr std::size_t k_page_header = 16;
constexpr std::uint64_t k_lock_size = std::uint64_t{1} << 20;

constexpr std::array<Rule, 1> k_rules{{
    {"lmdb-structure", "structure", Severity::suspicious, Reach::load, "CWE-125", "AML.T0010.002",
     "DAT-015", "nodes of the database lie outside of their page or of the file"},
}};

const Rule& k_structure = k_rules[0];

enum PageFlag : std::uint16_t {
  k_branch = 0x01,
  k_leaf = 0x02,
  k_overflow = 0x04,
  k_meta = 0x08,
  k_leaf2 = 0x20, ///< keys of one size without nodes
};
enum NodeFlag : std::uint16_t { k_big = 0x01, k_sub = 0x02, k_duplicates = 0x04 };

struct Meta {
  std::uint64_t page_size = 0;
  std::uint64_t last_page = 0;
  std::uint64_t transaction = 0;
};

std::optional<Meta> read_meta(Bytes page) {
  Reader in(page);
  in.seek(10);
  if ((in.le<std::uint16_t>().value_or(0) & k_meta) == 0) return std::nullopt;
  in.skip(4);
  if (in.le<std::uint32_t>() != k_magic || in.le<std::uint32_t>() != 1U) return std::nullopt;
  in.skip(16); // address, size of the map
  Meta out;
  out.page_size = in.le<std::uint32_t>().value_or(0);
  in.skip(2 * 48 - 4); // two MDB_db
  out.last_page = in.le<std::uint64_t>().value_or(0);
  const auto transaction = in.le<std::uint64_t>();
  if (!transaction || out.page_size < 256 || out.page_size > 65536 ||
      (out.page_size & (out.page_size - 1)) != 0)
    return std::nullopt;
  out.transaction = *transaction;
  return out;
}

bool is_lock(const Probe& probe) {
  return Reader(probe.head).le<std::uint32_t>() == k_magic && probe.size_known &&
         probe.size <= k_lock_size;
}

Claim probe(const Probe& probe) {
  return read_meta(probe.head) || is_lock(probe) ? Claim::yes : Claim::no;
}

class Scan {
public:
  Scan(Source& source, Session& session) : source_(source), session_(session), judge_(session) {}

  Reading run(const Meta& first) {
    const Bytes second = source_.view(first.page_size, k_page_header + 160);
    const auto other = read_meta(second);
    const Meta& meta = other && other->transaction > first.transaction ? *other : first;
    size_ = first.page_size;
    const std::uint64_t size = source_.wait_end();
    if (meta.last_page >= size / size_) {
      session_.gap(Reason::truncated, Reach::data, size, "pages are missing");
      return Reading::broken;
    }
    bool fine = true;
    // The file may be as large as its map: what lies behind the last page was never used.
    pages_ = size / size_;
    for (std::uint64_t page = 2; page <= meta.last_page;) {
      const std::uint64_t pages = one(page, fine);
      page += pages;
      if (page % 64 < pages && !session_.budget().time_left()) {
        session_.gap(Reason::budget, Reach::data, page * size_, "out of time");
        return Reading::broken;
      }
    }
    session_.ends_at((meta.last_page + 1) * size_);
    return fine ? Reading::valid : Reading::broken;
  }

private:
  // Returns how many pages it took.
  std::uint64_t one(std::uint64_t number, bool& fine) {
    const Bytes view = source_.view(number * size_, static_cast<std::size_t>(size_));
    const std::vector<std::uint8_t> page(view.begin(), view.end());
    Reader in(page);
    const auto stated = in.le<std::uint64_t>().value_or(0);
    in.skip(2);
    const auto flags = in.le<std::uint16_t>().value_or(0);
    const auto lower = in.le<std::uint16_t>().value_or(0);
    const auto upper = in.le<std::uint16_t>().value_or(0);
    if (stated != number) return 1; // never written, or inside of values that were deleted
    if ((flags & k_overflow) != 0) {
      const std::uint64_t count = lower | (std::uint64_t{upper} << 16);
      return std::clamp<std::uint64_t>(count, 1, pages_ - number);
    }
    if ((flags & k_leaf) == 0 || (flags & k_leaf2) != 0) return 1;
    if (lower < k_page_header || lower > size_ || upper > size_) return wrong(number, fine);
    for (std::size_t at = k_page_header; at + 2 <= lower; at += 2) {
      const auto node = Reader(Bytes(page).subspan(at)).le<std::uint16_t>().value_or(0);
      if (!value(page, node, number)) return wrong(number, fine);
    }
    return 1;
  }

  bool value(const std::vector<std::uint8_t>& page, std::size_t node, std::uint64_t number) {
    Reader in(page);
    if (node < k_page_header || !in.seek(node)) return false;
    const auto low = in.le<std::uint16_t>();
    const auto high = in.le<std::uint16_t>();
    const auto flags = in.le<std::uint16_t>();
    const auto key_size = in.le<std::uint16_t>();
    if (!low || !high || !flags || !key_size || !in.skip(*key_size)) return false;
    const std::uint64_t size = *low | (std::uint64_t{*high} << 16);
    const std::uint64_t at = number * size_ + node;
    if ((*flags & (k_sub | k_duplicates)) != 0) return true; // a tree of its own, or short values
    if ((*flags & k_big) == 0) {
      const auto bytes = in.take(size);
      if (!bytes) return false;
      judge_.look(*bytes, "value", at);
      judge_.look_text(*bytes, "value", at);
      return true;
    }
    const auto first = in.le<std::uint64_t>();
    if (!first || *first >= pages_ || size > (pages_ - *first) * size_ - k_page_header)
      return false;
    judge_.look(source_, *first * size_ + k_page_header, size, "value", at);
    return true;
  }

  std::uint64_t wrong(std::uint64_t number, bool& fine) {
    if (fine) session_.find(k_structure, number * size_, size_, "page " + std::to_string(number));
    session_.gap(Reason::malformed, Reach::data, number * size_, "a page can't be read");
    fine = false;
    return 1;
  }

  Source& source_;
  Session& session_;
  ValueJudge judge_;
  std::uint64_t size_ = 0;
  std::uint64_t pages_ = 0;
};

Reading scan(Source& source, Session& session) {
  const Bytes head = source.view(0, 4096);
  const auto meta = read_meta(head);
  // A lock file holds process ids and times.
  if (!meta)
    return source.wait_end() <= k_lock_size &&
                   Reader(source.view(0, 4)).le<std::uint32_t>() == k_magic
               ? Reading::valid
               : Reading::none;
  return Scan(source, session).run(*meta);
}

} // namespace

extern const Format format_lmdb;
const Format format_lmdb{"lmdb", "lmdb", probe, scan, k_rules};

} // namespace hubgate
