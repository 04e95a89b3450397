// Apache Parquet: column chunks of pages, and at the end a footer that says where they are
// (parquet-format 2.11). See README.md.
#include "scanner/core/format.hpp"
#include "scanner/core/json.hpp"
#include "scanner/formats/arrow/schema.hpp"
#include "scanner/formats/parquet/footer.hpp"
#include "scanner/formats/parquet/pages.hpp"
#include "scanner/generic/text_value.hpp"

#include <algorithm>
#include <array>

namespace hubgate {
namespace {

using namespace parquet;

constexpr std::uint64_t k_magic = 4;
constexpr std::uint64_t k_end = 8;                               ///< length and magic
constexpr std::uint64_t k_max_footer = std::uint64_t{128} << 20; ///< of the widest tables: 50 MiB
constexpr std::string_view k_dataset = "AML.T0010.002";
constexpr std::string_view k_dos = "AML.T0029";

constexpr std::array<Rule, 8> k_rules{{
    {"parquet-footer", "structure", Severity::suspicious, Reach::load, "CWE-20", k_dataset,
     "DAT-007", "the footer can't be read or points outside of the file"},
    {"parquet-offset", "structure", Severity::suspicious, Reach::load, "CWE-125", k_dataset,
     "DAT-007", "a column chunk or a page lies outside of the file, or over another one"},
    {"parquet-page-size", "structure", Severity::suspicious, Reach::load, "CWE-131", k_dos,
     "DAT-007", "the sizes that a page states contradict what it holds"},
    {"parquet-bomb", "bomb", Severity::suspicious, Reach::load, "CWE-409", k_dos, "DAT-007",
     "a page unpacks to more than its size can honestly hold"},
    {"parquet-java-class", "code", Severity::suspicious, Reach::load, "CWE-470", k_dataset,
     "DAT-007",
     "the schema names a Java class that parquet-avro makes an object of (CVE-2025-30065)"},
    {"parquet-external-file", "traversal", Severity::suspicious, Reach::load, "CWE-22", k_dataset,
     "DAT-007", "the footer sends readers to a file outside of the dataset's folder"},
    {"parquet-encrypted", "encrypted", Severity::suspicious, Reach::data, "", k_dataset, "DAT-007",
     "columns or the footer can only be read with a key"},
    {"parquet-hidden-bytes", "structure", Severity::informational, Reach::data, "CWE-436",
     k_dataset, "DAT-007", "bytes lie between the column chunks that no reader looks at"},
}};

const Rule& k_footer = k_rules[0];
const Rule& k_offset = k_rules[1];
const Rule& k_page_size = k_rules[2];
const Rule& k_bomb = k_rules[3];
const Rule& k_java_class = k_rules[4];
const Rule& k_external = k_rules[5];
const Rule& k_encrypted = k_rules[6];
const Rule& k_hidden = k_rules[7];

// Magic bytes alone are four letters: behind them a file has a thrift structure, a text goes on.
bool head_is_parquet(Bytes head) {
  if (head.size() < k_magic + k_end) return false;
  if (!starts_with(head, "PAR1") && !starts_with(head, "PARE")) return false;
  const Bytes behind = head.subspan(k_magic, std::min<std::size_t>(16, head.size() - k_magic));
  return !std::all_of(behind.begin(), behind.end(),
                      [](std::uint8_t c) { return (c >= 0x20 && c < 0x7f) || c == '\n'; });
}

Claim probe(const Probe& probe) {
  if (head_is_parquet(probe.head)) return Claim::yes;
  // Readers look at the end only.
  if (probe.tail.size() < k_end) return Claim::no;
  const Bytes end = probe.tail.last(k_end);
  if (!starts_with(end.subspan(4), "PAR1") && !starts_with(end.subspan(4), "PARE"))
    return Claim::no;
  const auto length = Reader(end).le<std::uint32_t>().value_or(0);
  return length > 0 && length <= probe.size - k_end ? Claim::maybe : Claim::no;
}

struct Extent {
  std::uint64_t begin;
  std::uint64_t end;
};

class Scan {
public:
  Scan(Source& source, Session& session) : source_(source), session_(session), judge_(session) {}
  Reading run();

private:
  bool settle_arriving();
  bool find_end();
  void metadata(const Footer& footer);
  void avro_schema(std::string_view key, const std::string& value);
  bool chunks(const Footer& footer, const std::vector<Column>& columns);
  bool one_chunk(const Chunk& chunk, const Column& column);
  void external(const Chunk& chunk);
  void between();

  Source& source_;
  Session& session_;
  ValueJudge judge_;
  std::uint64_t end_ = 0;    ///< behind the magic
  std::uint64_t footer_ = 0; ///< where the footer begins
  bool encrypted_footer_ = false;
  std::vector<Extent> chunks_;
  std::vector<Extent> beside_;
  std::uint64_t groups_told_ = 0;
};

// A prefix of a Parquet file can be opened only if it ends with a footer's magic. What has come is
// let go as long as that does not stand in it; from there on everything waits for the verdict.
bool Scan::settle_arriving() {
  if (source_.random_access()) return true;
  constexpr std::size_t k_step = std::size_t{256} << 10;
  bool open = true;
  for (std::uint64_t at = k_magic;;) {
    const Bytes piece = source_.some(at, k_step);
    if (piece.empty()) return true;
    const std::string_view text = as_text(piece);
    if (text.find("PAR1") != std::string_view::npos || text.find("PARE") != std::string_view::npos)
      open = false;
    // Three bytes of the magic may be the last ones of the piece.
    at += piece.size() > 3 ? piece.size() - 3 : piece.size();
    if (open) session_.release(at > k_held_tail ? at - k_held_tail : 0);
    if (!session_.budget().time_left()) return false;
  }
}

// The end of the file, or the last place that could be it.
bool Scan::find_end() {
  const std::uint64_t size = source_.wait_end();
  const std::uint64_t back = std::min<std::uint64_t>(size, std::uint64_t{1} << 20);
  const Bytes view = source_.view(size - back, static_cast<std::size_t>(back));
  const std::string_view tail = as_text(view);
  std::size_t limit = tail.size();
  for (int tries = 0; tries < 64 && limit >= k_end; ++tries) {
    const std::size_t plain = tail.substr(0, limit).rfind("PAR1");
    const std::size_t sealed = tail.substr(0, limit).rfind("PARE");
    const std::size_t at = plain == std::string_view::npos    ? sealed
                           : sealed == std::string_view::npos ? plain
                                                              : std::max(plain, sealed);
    if (at == std::string_view::npos || at < 4) return false;
    const auto length = Reader(view.subspan(at - 4)).le<std::uint32_t>().value_or(0);
    const std::uint64_t end = size - back + at + 4;
    if (length > 0 && length <= end - k_end) {
      end_ = end;
      footer_ = end - k_end - length;
      encrypted_footer_ = at == sealed;
      return true;
    }
    limit = at + 3;
  }
  return false;
}

void Scan::avro_schema(std::string_view key, const std::string& value) {
  constexpr std::array<std::string_view, 8> k_harmless{"[B",
                                                       "java.math.BigDecimal",
                                                       "java.util.List",
                                                       "java.util.Map",
                                                       "java.util.ArrayList",
                                                       "java.util.HashMap",
                                                       "java.util.Set",
                                                       "java.util.HashSet"};
  MemorySource text(as_bytes(value));
  JsonReader json(text, 0, value.size(), {.depth = 64});
  bool is_class = false;
  for (;;) {
    const JsonEvent event = json.next();
    if (event == JsonEvent::error || event == JsonEvent::end) return;
    if (event == JsonEvent::key) {
      const std::string_view name = json.text();
      is_class = name == "java-class" || name == "java-key-class" || name == "java-element-class";
      continue;
    }
    if (is_class && event == JsonEvent::string) {
      const std::string_view name = json.text();
      if (!name.starts_with("java.lang.") &&
          std::find(k_harmless.begin(), k_harmless.end(), name) == k_harmless.end())
        session_.find(k_java_class, footer_, 0,
                      std::string(key) + " names the class " + std::string(name));
    }
    is_class = false;
  }
}

std::string from_base64(std::string_view text) {
  std::string out;
  std::uint32_t buffer = 0;
  unsigned filled = 0;
  for (const char c: text) {
    int digit = -1;
    if (c >= 'A' && c <= 'Z') digit = c - 'A';
    if (c >= 'a' && c <= 'z') digit = c - 'a' + 26;
    if (c >= '0' && c <= '9') digit = c - '0' + 52;
    if (c == '+') digit = 62;
    if (c == '/') digit = 63;
    if (digit < 0) continue;
    buffer = (buffer << 6) | static_cast<std::uint32_t>(digit);
    filled += 6;
    if (filled < 8) continue;
    filled -= 8;
    out += static_cast<char>(buffer >> filled);
  }
  return out;
}

void Scan::metadata(const Footer& footer) {
  for (const auto& [key, value]: footer.metadata) {
    if (key == "ARROW:schema") {
      const std::string bytes = from_base64(value);
      MemorySource source(as_bytes(bytes));
      if (!arrow::scan_schema_message(source, session_))
        session_.gap(Reason::malformed, Reach::load, footer_, "ARROW:schema is not a schema");
      continue;
    }
    if (key.find("avro") != std::string::npos) avro_schema(key, value);
    if (key.size() > 200) scan_text_value(session_, "metadata key", key, footer_);
    scan_text_value(session_, "metadata " + key.substr(0, 200), value, footer_);
  }
}

void Scan::external(const Chunk& chunk) {
  const std::string& path = chunk.file_path;
  session_.refer("file", footer_, path);
  const bool leads_out = path.starts_with("/") || path.starts_with("\\") ||
                         path.find("..") != std::string::npos ||
                         path.find(':') != std::string::npos;
  if (leads_out) session_.find(k_external, footer_, 0, path);
}

bool Scan::one_chunk(const Chunk& chunk, const Column& column) {
  if (!chunk.file_path.empty()) {
    external(chunk);
    return true; // the pages are in that file
  }
  if (chunk.encrypted && !chunk.described) {
    session_.find(k_encrypted, footer_, 0, "column " + column.path);
    session_.gap(Reason::encrypted, Reach::data, footer_, "column " + column.path);
    return false;
  }
  if (chunk.packed == 0 && chunk.values == 0) return true;
  std::int64_t begin = chunk.data_page;
  for (const auto& other: {chunk.dictionary_page, chunk.index_page})
    if (other && *other > 0 && (begin <= 0 || *other < begin))
      begin = *other; // 0 stands for "none"
  const auto first = static_cast<std::uint64_t>(begin);
  const auto length = static_cast<std::uint64_t>(chunk.packed);
  if (begin < static_cast<std::int64_t>(k_magic) || chunk.packed < 0 || first > footer_ ||
      length > footer_ - first) {
    session_.find(k_offset, footer_, 0,
                  "column " + column.path + " is said to lie at " + std::to_string(begin) + ", " +
                      std::to_string(chunk.packed) + " bytes long");
    session_.gap(Reason::malformed, Reach::load, footer_,
                 "column " + column.path + " lies outside of the file");
    return false;
  }
  chunks_.push_back({first, first + length});
  for (const auto& [at, size]: chunk.beside)
    if (at > 0 && size > 0 && static_cast<std::uint64_t>(at) <= footer_ &&
        static_cast<std::uint64_t>(size) <= footer_ - static_cast<std::uint64_t>(at))
      beside_.push_back({static_cast<std::uint64_t>(at), static_cast<std::uint64_t>(at + size)});
  if (chunk.encrypted) {
    session_.find(k_encrypted, first, 0, "column " + column.path);
    session_.gap(Reason::encrypted, Reach::data, first, "column " + column.path);
    return false;
  }
  return ChunkWalk(source_, session_, judge_, {k_offset, k_page_size, k_bomb}, column, chunk)
      .run(first, first + length);
}

bool Scan::chunks(const Footer& footer, const std::vector<Column>& columns) {
  bool fine = true;
  for (const RowGroup& group: footer.groups) {
    if (group.chunks.size() != columns.size()) {
      session_.find(k_footer, footer_, 0,
                    "a row group has " + std::to_string(group.chunks.size()) +
                        " columns, the schema " + std::to_string(columns.size()));
      session_.gap(Reason::malformed, Reach::load, footer_, "row groups contradict the schema");
      return false;
    }
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const Chunk& chunk = group.chunks[i];
      if (chunk.described && chunk.type != columns[i].type) {
        session_.find(k_footer, footer_, 0, "column " + columns[i].path + " has two types");
        fine = false;
      }
      fine = one_chunk(chunk, columns[i]) && fine;
      if (!session_.budget().time_left()) {
        session_.gap(Reason::budget, Reach::data, footer_, "out of time");
        return false;
      }
    }
  }
  return fine;
}

// Bytes that belong to nothing are looked at like a file of their own; chunks must not overlap.
void Scan::between() {
  constexpr std::uint64_t k_shortest = 16;
  const auto before = [](const Extent& a, const Extent& b) { return a.begin < b.begin; };
  std::sort(chunks_.begin(), chunks_.end(), before);
  for (std::size_t i = 1; i < chunks_.size(); ++i) {
    if (chunks_[i].begin >= chunks_[i - 1].end) continue;
    session_.find(k_offset, chunks_[i].begin, 0, "two column chunks share bytes");
    break;
  }
  std::vector<Extent> all = chunks_;
  all.insert(all.end(), beside_.begin(), beside_.end());
  std::sort(all.begin(), all.end(), before);
  all.push_back({footer_, footer_});
  std::uint64_t at = k_magic;
  for (const Extent& extent: all) {
    if (extent.begin > at && extent.begin - at >= k_shortest) {
      SubSource hole(source_, at, extent.begin - at);
      bool zeros = true;
      for (std::uint64_t i = 0; zeros && i < extent.begin - at; i += 65536) {
        const Bytes piece = hole.view(i, 65536);
        zeros = std::all_of(piece.begin(), piece.end(), [](std::uint8_t c) { return c == 0; });
      }
      if (!zeros) {
        if (groups_told_++ == 0)
          session_.find(k_hidden, at, extent.begin - at,
                        std::to_string(extent.begin - at) + " bytes");
        session_.embedded("between column chunks@" + std::to_string(at), hole);
      }
    }
    at = std::max(at, extent.end);
  }
}

Reading Scan::run() {
  const bool by_head = head_is_parquet(source_.view(0, 64));
  if (!settle_arriving()) {
    session_.gap(Reason::budget, Reach::data, 0, "out of time");
    return Reading::broken;
  }
  if (!find_end()) {
    if (!by_head) return Reading::none;
    session_.gap(Reason::truncated, Reach::load, source_.wait_end(), "no footer");
    // Four letters may stand before anything.
    TailSource content(source_, k_magic);
    session_.embedded("content", content);
    return Reading::broken;
  }
  session_.ends_at(end_);
  if (encrypted_footer_) {
    session_.find(k_encrypted, footer_, end_ - footer_, "the footer");
    session_.gap(Reason::encrypted, Reach::data, footer_, "the footer is encrypted");
    return Reading::broken;
  }
  const std::uint64_t length = end_ - k_end - footer_;
  if (length > k_max_footer) {
    session_.gap(Reason::budget, Reach::load, footer_, "a footer of more than 128 MiB");
    return Reading::broken;
  }
  const Bytes raw = source_.view(footer_, static_cast<std::size_t>(length));
  const auto footer = read_footer(raw);
  const auto columns = footer ? columns_of(footer->schema) : std::nullopt;
  if (!footer || !columns) {
    if (!by_head) return Reading::none;
    session_.find(k_footer, footer_, length, "not a file's metadata");
    session_.gap(Reason::malformed, Reach::load, footer_, "the footer can't be read");
    return Reading::broken;
  }
  metadata(*footer);
  if (length - footer->length >= 64) { // a signature has 28
    SubSource rest(source_, footer_ + footer->length, length - footer->length);
    session_.find(k_hidden, footer_ + footer->length, length - footer->length,
                  "bytes behind the metadata in the footer");
    session_.embedded("footer padding", rest);
  }
  const bool fine = chunks(*footer, *columns);
  between();
  session_.release(end_ - std::min(end_, k_held_tail));
  return fine ? Reading::valid : Reading::broken;
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session).run();
}

} // namespace

extern const Format format_parquet;
const Format format_parquet{"parquet", "parquet", probe, scan, k_rules};

} // namespace hubgate
