// SQLite 3 databases (https://www.sqlite.org/fileformat2.html): pages of b-trees. The schema's
// statements are judged, and every value of every table is looked at. See README.md.
#include "scanner/core/format.hpp"
#include "scanner/core/reader.hpp"
#include "scanner/core/session.hpp"
#include "scanner/formats/sqlite/sql.hpp"
#include "scanner/generic/values.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace hubgate {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view k_magic = "SQLite format 3\0"sv;
constexpr std::size_t k_header = 100;
constexpr std::uint64_t k_max_payload = std::uint64_t{1} << 31; ///< SQLite's own limit
constexpr std::uint64_t k_max_pages = std::uint64_t{1} << 32;
constexpr std::uint64_t k_memory_value = std::uint64_t{8} << 20; ///< of one value at once
constexpr std::size_t k_max_depth = 40;

constexpr std::array<Rule, 2> k_rules{{
    {"sqlite-dangerous-sql", "dangerous-call", Severity::suspicious, Reach::load, "CWE-89",
     "AML.T0010.002", "DAT-014",
     "the schema holds a statement that reaches out of the database when a table, view or trigger "
     "is used"},
    {"sqlite-structure", "structure", Severity::suspicious, Reach::load, "CWE-125", "AML.T0010.002",
     "DAT-014", "pages or cells of the database lead where they can't"},
}};

const Rule& k_sql = k_rules[0];
const Rule& k_structure = k_rules[1];

enum Kind : std::uint8_t {
  k_index_interior = 2,
  k_table_interior = 5,
  k_index_leaf = 10,
  k_table_leaf = 13,
};

Claim probe(const Probe& probe) {
  return starts_with(probe.head, k_magic) ? Claim::yes : Claim::no;
}

bool is_page_size(std::uint64_t size) {
  return size >= 512 && size <= 65536 && (size & (size - 1)) == 0;
}

std::uint64_t varint(Reader& in) {
  std::uint64_t value = 0;
  for (int i = 0; i < 9; ++i) {
    const auto byte = in.le<std::uint8_t>();
    if (!byte) return ~std::uint64_t{0};
    if (i == 8) return (value << 8) | *byte;
    value = (value << 7) | (*byte & 0x7fU);
    if ((*byte & 0x80) == 0) break;
  }
  return value;
}

struct Value {
  std::uint64_t begin; ///< in the payload
  std::uint64_t length;
  bool text;
  std::uint64_t type;
};

// The values of a record (section 2.1) of `size` bytes of which the first are in `bytes`.
bool read_record(Bytes bytes, std::uint64_t size, std::vector<Value>& out) {
  out.clear();
  Reader in(bytes);
  const std::uint64_t header = varint(in);
  if (header > size || header > bytes.size() || header < in.position()) return false;
  std::uint64_t at = header;
  while (in.position() < header) {
    const std::uint64_t type = varint(in);
    constexpr std::array<std::uint8_t, 12> k_sizes{0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0};
    const std::uint64_t length =
        type < 12 ? k_sizes[static_cast<std::size_t>(type)] : (type - 12) / 2;
    if (length > size - at) return false;
    out.push_back({at, length, type >= 13 && (type & 1) != 0, type});
    at += length;
  }
  return in.position() == header;
}

class Scan {
public:
  Scan(Source& source, Session& session) : source_(source), session_(session), judge_(session) {}
  Reading run();

private:
  struct Page {
    std::uint64_t number;
    std::vector<std::uint8_t> bytes;
    std::size_t header; ///< of the b-tree header: 100 on the first page
  };
  struct Cell {
    std::uint64_t size; ///< of the payload
    std::vector<std::uint8_t> payload;
    bool complete;
  };
  bool header();
  bool load(std::uint64_t number, Page& out);
  bool tree(std::uint64_t root, bool schema);
  bool cells(const Page& page, std::vector<std::uint16_t>& out);
  bool payload(const Page& page, std::size_t at, std::uint64_t size, bool table_leaf, Cell& out);
  bool leaf(const Page& page, bool schema);
  void schema_row(const Cell& cell, const std::vector<Value>& values, std::uint64_t at);
  void values(const Cell& cell, const std::vector<Value>& values, std::uint64_t at);
  void rest();
  std::string text(Bytes raw) const;
  bool wrong(std::uint64_t page, std::string_view what);

  Source& source_;
  Session& session_;
  ValueJudge judge_;
  std::uint64_t page_size_ = 0;
  std::uint64_t usable_ = 0;
  std::uint64_t pages_ = 0;
  unsigned encoding_ = 1;
  std::vector<bool> seen_;
  std::vector<std::uint64_t> roots_;
  std::string table_ = "table";
  bool lenient_ = false; ///< pages of no tree may be anything
  bool told_ = false;
};

bool Scan::wrong(std::uint64_t page, std::string_view what) {
  if (lenient_) return false;
  const std::uint64_t at = (page - 1) * page_size_;
  if (!told_)
    session_.find(k_structure, at, 0, "page " + std::to_string(page) + ": " + std::string(what));
  told_ = true;
  session_.gap(Reason::malformed, Reach::load, at, what);
  return false;
}

bool Scan::header() {
  const Bytes head = source_.view(0, k_header);
  if (head.size() < k_header) return false;
  Reader in(head);
  in.seek(16);
  const std::uint64_t size = in.be<std::uint16_t>().value_or(0);
  page_size_ = size == 1 ? 65536 : size;
  in.seek(20);
  const std::uint64_t reserved = in.le<std::uint8_t>().value_or(0);
  if (!is_page_size(page_size_) || reserved > page_size_ - 480) return false;
  usable_ = page_size_ - reserved;
  in.seek(24);
  const auto changes = in.be<std::uint32_t>().value_or(0);
  pages_ = in.be<std::uint32_t>().value_or(0);
  in.seek(56);
  encoding_ = in.be<std::uint32_t>().value_or(1);
  in.seek(92);
  const auto valid_for = in.be<std::uint32_t>().value_or(0);
  // Older writers leave the count out, or stale.
  if (pages_ == 0 || changes != valid_for) pages_ = source_.wait_end() / page_size_;
  return pages_ > 0 && pages_ <= k_max_pages;
}

bool Scan::load(std::uint64_t number, Page& out) {
  if (number == 0 || number > pages_) return false;
  const Bytes bytes = source_.view((number - 1) * page_size_, static_cast<std::size_t>(page_size_));
  if (bytes.size() < page_size_) return false;
  out.number = number;
  out.bytes.assign(bytes.begin(), bytes.end());
  out.header = number == 1 ? k_header : 0;
  return true;
}

std::string Scan::text(Bytes raw) const {
  if (encoding_ == 1) return std::string(as_text(raw));
  // UTF-16: what is ASCII is enough to judge by.
  std::string out;
  for (std::size_t i = 0; i + 1 < raw.size(); i += 2) {
    const std::uint8_t low = encoding_ == 2 ? raw[i] : raw[i + 1];
    const std::uint8_t high = encoding_ == 2 ? raw[i + 1] : raw[i];
    out += high == 0 ? static_cast<char>(low) : '?';
  }
  return out;
}

bool Scan::cells(const Page& page, std::vector<std::uint16_t>& out) {
  Reader in(page.bytes);
  in.seek(page.header);
  const auto kind = in.le<std::uint8_t>().value_or(0);
  in.skip(2);
  const auto count = in.be<std::uint16_t>().value_or(0);
  in.skip(3);
  if (kind == k_index_interior || kind == k_table_interior) in.skip(4);
  if (!in.can_hold(count, 2)) return false;
  out.clear();
  for (unsigned i = 0; i < count; ++i) {
    const auto at = in.be<std::uint16_t>().value_or(0);
    if (at < page.header + 8 || at >= usable_) return false;
    out.push_back(at);
  }
  return true;
}

// Section 1.6: what does not fit on the page goes on in a chain of overflow pages.
bool Scan::payload(const Page& page, std::size_t at, std::uint64_t size, bool table_leaf,
                   Cell& out) {
  if (size > k_max_payload) return wrong(page.number, "a row of more than 2 GiB");
  const std::uint64_t most = table_leaf ? usable_ - 35 : (usable_ - 12) * 64 / 255 - 23;
  const std::uint64_t least = (usable_ - 12) * 32 / 255 - 23;
  std::uint64_t local = size;
  if (size > most) {
    const std::uint64_t rest = least + (size - least) % (usable_ - 4);
    local = rest <= most ? rest : least;
  }
  if (at > usable_ || local > usable_ - at)
    return wrong(page.number, "a cell reaches behind its page");
  const auto begin = page.bytes.begin() + static_cast<std::ptrdiff_t>(at);
  out.size = size;
  out.payload.assign(begin, begin + static_cast<std::ptrdiff_t>(local));
  out.complete = true;
  if (local == size) return true;
  if (usable_ - at - local < 4) return wrong(page.number, "a cell without its chain");
  std::uint64_t next = Reader(Bytes(page.bytes).subspan(at + static_cast<std::size_t>(local)))
                           .be<std::uint32_t>()
                           .value_or(0);
  std::uint64_t left = size - local;
  while (left > 0) {
    if (next == 0 || next > pages_) return wrong(page.number, "a chain that leads nowhere");
    const std::uint64_t here = (next - 1) * page_size_;
    const std::uint64_t count = std::min(left, usable_ - 4);
    const Bytes bytes = source_.view(here, static_cast<std::size_t>(count + 4));
    if (bytes.size() < count + 4) return wrong(page.number, "a chain beyond the end");
    if (seen_[static_cast<std::size_t>(next - 1)] && !lenient_)
      return wrong(page.number, "a chain through a page that belongs to something else");
    seen_[static_cast<std::size_t>(next - 1)] = true;
    if (out.payload.size() < k_memory_value)
      out.payload.insert(out.payload.end(), bytes.begin() + 4, bytes.end());
    else
      out.complete = false;
    next = Reader(bytes).be<std::uint32_t>().value_or(0);
    left -= count;
  }
  return true;
}

void Scan::schema_row(const Cell& cell, const std::vector<Value>& values, std::uint64_t at) {
  if (values.size() < 5) return;
  const auto bytes_of = [&](const Value& value) {
    return value.begin + value.length <= cell.payload.size()
               ? Bytes(cell.payload)
                     .subspan(static_cast<std::size_t>(value.begin),
                              static_cast<std::size_t>(value.length))
               : Bytes();
  };
  const std::string sql = text(bytes_of(values[4]));
  const std::string name = text(bytes_of(values[1]));
  if (!sql.empty())
    if (const auto reason = sqlite::reaches_out(sql))
      session_.find(k_sql, at, sql.size(), *reason + " in " + name + ": " + sql);
  if (values[3].type >= 1 && values[3].type <= 6) {
    std::uint64_t root = 0;
    for (const std::uint8_t byte: bytes_of(values[3]))
      root = (root << 8) | byte;
    if (root > 0) roots_.push_back(root);
  } else if (values[3].type == 9) {
    roots_.push_back(1);
  }
}

void Scan::values(const Cell& cell, const std::vector<Value>& values, std::uint64_t at) {
  constexpr std::uint64_t k_shortest = 8;
  for (const Value& value: values) {
    if (value.length < k_shortest) continue;
    if (value.begin + value.length > cell.payload.size()) {
      session_.gap(Reason::budget, Reach::data, at,
                   "a value of " + std::to_string(value.length) + " bytes");
      continue;
    }
    const Bytes bytes =
        Bytes(cell.payload)
            .subspan(static_cast<std::size_t>(value.begin), static_cast<std::size_t>(value.length));
    judge_.look(bytes, table_, at);
    if (value.text) judge_.look_text(bytes, table_, at);
  }
}

bool Scan::leaf(const Page& page, bool schema) {
  std::vector<std::uint16_t> offsets;
  if (!cells(page, offsets)) return wrong(page.number, "cells outside of their page");
  const std::uint8_t kind = page.bytes[page.header];
  std::vector<Value> columns;
  Cell cell;
  for (const std::uint16_t offset: offsets) {
    Reader in(page.bytes);
    in.seek(offset + (kind == k_index_interior ? 4U : 0U));
    const std::uint64_t size = varint(in);
    if (kind == k_table_leaf) varint(in);
    const std::uint64_t at = (page.number - 1) * page_size_ + offset;
    if (!payload(page, static_cast<std::size_t>(in.position()), size, kind == k_table_leaf, cell))
      return false;
    if (!read_record(cell.payload, size, columns)) return wrong(page.number, "a row that is none");
    if (schema) schema_row(cell, columns, at);
    values(cell, columns, at);
  }
  return true;
}

bool Scan::tree(std::uint64_t root, bool schema) {
  struct Step {
    std::uint64_t page;
    std::size_t depth;
  };
  std::vector<Step> todo{{root, 0}};
  Page page;
  std::vector<std::uint16_t> offsets;
  bool fine = true;
  while (!todo.empty()) {
    const Step step = todo.back();
    todo.pop_back();
    if (step.page == 0 || step.page > pages_ || step.depth > k_max_depth)
      return wrong(root, "a tree that leads out of the file");
    if (seen_[static_cast<std::size_t>(step.page - 1)])
      return wrong(step.page, "a page that stands in two places");
    seen_[static_cast<std::size_t>(step.page - 1)] = true;
    if (!session_.budget().time_left()) {
      session_.gap(Reason::budget, Reach::load, 0, "out of time");
      return false;
    }
    if (!load(step.page, page)) return wrong(root, "a tree that leads out of the file");
    const std::uint8_t kind = page.bytes[page.header];
    if (kind == k_table_leaf || kind == k_index_leaf || kind == k_index_interior)
      fine = leaf(page, schema && kind == k_table_leaf) && fine;
    if (kind == k_table_leaf || kind == k_index_leaf) continue;
    if (kind != k_table_interior && kind != k_index_interior)
      return wrong(step.page, "a page of an unknown kind in a tree");
    if (!cells(page, offsets)) return wrong(step.page, "cells outside of their page");
    Reader in(page.bytes);
    in.seek(page.header + 8);
    todo.push_back({in.be<std::uint32_t>().value_or(0), step.depth + 1});
    for (const std::uint16_t offset: offsets) {
      in.seek(offset);
      todo.push_back({in.be<std::uint32_t>().value_or(0), step.depth + 1});
    }
  }
  return fine;
}

// Pages of no tree: free ones keep what was deleted. What looks like a leaf is read as one.
void Scan::rest() {
  lenient_ = true;
  table_ = "free page";
  Page page;
  for (std::uint64_t number = 2; number <= pages_; ++number) {
    if (seen_[static_cast<std::size_t>(number - 1)] || !load(number, page)) continue;
    const std::uint8_t kind = page.bytes[0];
    if (kind == k_table_leaf || kind == k_index_leaf) leaf(page, false);
    if (number % 256 == 0 && !session_.budget().time_left()) {
      session_.gap(Reason::budget, Reach::data, (number - 1) * page_size_, "out of time");
      return;
    }
  }
}

Reading Scan::run() {
  if (!header()) {
    session_.gap(Reason::malformed, Reach::load, 0, "the header can't be read");
    return Reading::broken;
  }
  const std::uint64_t size = source_.wait_end();
  const std::uint64_t end = pages_ * page_size_;
  if (end > size) {
    session_.gap(Reason::truncated, Reach::load, size,
                 "the database needs " + std::to_string(end - size) + " bytes more");
    return Reading::broken;
  }
  session_.ends_at(end);
  seen_.assign(static_cast<std::size_t>(pages_), false);
  table_ = "schema";
  bool fine = tree(1, true);
  table_ = "table";
  // Two entries may name one table (a view has none): its pages are read once.
  std::sort(roots_.begin(), roots_.end());
  roots_.erase(std::unique(roots_.begin(), roots_.end()), roots_.end());
  for (const std::uint64_t root: roots_)
    if (root != 1) fine = tree(root, false) && fine;
  if (std::find(roots_.begin(), roots_.end(), 1U) != roots_.end())
    session_.find(k_structure, 0, 0, "a table that is the schema itself");
  rest();
  if (fine) session_.release(end);
  return fine ? Reading::valid : Reading::broken;
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session).run();
}

} // namespace

extern const Format format_sqlite;
const Format format_sqlite{"sqlite", "sqlite", probe, scan, k_rules};

} // namespace hubgate
