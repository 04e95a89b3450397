// OLE2 compound files (MS-CFB): Word, Excel and PowerPoint before 2007, vbaProject.bin, Outlook
// messages, installers. The directory is read; its streams are scanned as members. See README.md.
#include "scanner/core/format.hpp"
#include "scanner/core/reader.hpp"
#include "scanner/core/session.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace hubgate {
namespace {

constexpr std::string_view k_magic = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";
constexpr std::uint32_t k_end_of_chain = 0xfffffffe;
constexpr std::uint32_t k_last_sector = 0xfffffffa;
constexpr std::size_t k_header_places = 109;     ///< sectors of the FAT that the header lists
constexpr std::size_t k_max_fat_sectors = 16384; ///< 1 GiB of sectors of 512 bytes, and more
constexpr std::size_t k_max_entries = 65536;
constexpr std::uint64_t k_max_stream = std::uint64_t{256} << 20;
constexpr std::size_t k_told = 5;
constexpr std::string_view k_atlas = "AML.T0011.000";

constexpr std::array<Rule, 4> k_rules{{
    {"ole-macro", "script", Severity::suspicious, Reach::load, "CWE-94", k_atlas, "RTF-018",
     "the document carries macros"},
    {"ole-embedded-object", "executable", Severity::suspicious, Reach::load, "CWE-506", k_atlas,
     "RTF-018", "a file or a program is packed into the document"},
    {"ole-structure", "structure", Severity::suspicious, Reach::load, "CWE-835", "AML.T0076",
     "RTF-018", "the tables of the file lead in a circle or outside of it"},
    {"ole-encrypted", "encrypted", Severity::suspicious, Reach::data, "", "AML.T0076", "RTF-018",
     "the document can only be read with a password"},
}};

const Rule& k_macro = k_rules[0];
const Rule& k_object = k_rules[1];
const Rule& k_structure = k_rules[2];
const Rule& k_encrypted = k_rules[3];

// The bytes of a stream: a chain of sectors.
class ChainSource final : public Source {
public:
  ChainSource(Source& file, std::vector<std::uint64_t> places, std::uint64_t sector,
              std::uint64_t length)
      : file_(file), places_(std::move(places)), sector_(sector), length_(length) {}
  std::optional<std::uint64_t> size() override { return length_; }
  bool random_access() override { return file_.random_access(); }
  std::uint64_t wait_end() override { return length_; }
  Bytes view(std::uint64_t offset, std::size_t n) override {
    buffer_.clear();
    if (offset >= length_) return {};
    const std::uint64_t end = offset + std::min<std::uint64_t>(n, length_ - offset);
    for (std::uint64_t at = offset; at < end;) {
      const std::uint64_t index = at / sector_;
      if (index >= places_.size()) break;
      const std::uint64_t skip = at % sector_;
      const auto want = static_cast<std::size_t>(std::min(sector_ - skip, end - at));
      const Bytes piece = file_.view(places_[static_cast<std::size_t>(index)] + skip, want);
      if (piece.empty()) break;
      buffer_.insert(buffer_.end(), piece.begin(), piece.end());
      at += piece.size();
      if (piece.size() < want) break;
    }
    return buffer_;
  }

private:
  Source& file_;
  std::vector<std::uint64_t> places_; ///< of each sector in the file
  std::uint64_t sector_;
  std::uint64_t length_;
  std::vector<std::uint8_t> buffer_;
};

struct Entry {
  std::string name;
  std::uint8_t kind = 0; ///< 1 storage, 2 stream, 5 root
  std::uint32_t start = 0;
  std::uint64_t size = 0;
};

class Scan {
public:
  Scan(Source& source, Session& session) : source_(source), session_(session) {}
  Reading run();

private:
  bool header();
  bool tables();
  std::vector<std::uint64_t> chain(std::uint32_t first, std::uint64_t length);
  std::vector<std::uint64_t> mini_chain(std::uint32_t first, std::uint64_t length);
  std::vector<Entry> directory();
  void judge(const Entry& entry);
  void sheets(Source& workbook);
  void broken(const std::string& why) {
    if (++broken_ > k_told) return;
    session_.find(k_structure, 0, 0, why);
    session_.gap(Reason::malformed, Reach::load, 0, why);
  }
  void tell(const Rule& rule, const std::string& evidence) {
    const auto index = static_cast<std::size_t>(&rule - k_rules.data());
    if (++told_[index] <= k_told) session_.find(rule, 0, 0, evidence);
  }
  std::uint64_t place(std::uint32_t sector) const { return (std::uint64_t{sector} + 1) * sector_; }

  Source& source_;
  Session& session_;
  std::uint64_t size_ = 0;
  std::uint64_t sector_ = 512;
  std::uint64_t mini_sector_ = 64;
  std::uint32_t directory_start_ = 0;
  std::uint32_t mini_cutoff_ = 4096;
  std::uint32_t mini_fat_start_ = 0;
  std::uint32_t difat_start_ = 0;
  std::vector<std::uint32_t> fat_;
  std::vector<std::uint32_t> mini_fat_;
  std::vector<std::uint64_t> mini_stream_;
  std::vector<std::uint32_t> fat_sectors_;
  std::size_t broken_ = 0;
  std::array<std::size_t, k_rules.size()> told_{};
};

bool Scan::header() {
  Reader in(source_.view(0, 512));
  const auto shift = in.at(30, 2);
  const auto mini_shift = in.at(32, 2);
  if (!shift || !mini_shift || in.remaining() < 512) return false;
  if ((*shift)[1] != 0 || (*mini_shift)[1] != 0) return false;
  if (((*shift)[0] != 9 && (*shift)[0] != 12) || (*mini_shift)[0] != 6) return false;
  sector_ = std::uint64_t{1} << (*shift)[0];
  in.seek(48);
  directory_start_ = in.le<std::uint32_t>().value_or(k_end_of_chain);
  in.skip(4);
  mini_cutoff_ = in.le<std::uint32_t>().value_or(4096);
  mini_fat_start_ = in.le<std::uint32_t>().value_or(k_end_of_chain);
  in.skip(4);
  difat_start_ = in.le<std::uint32_t>().value_or(k_end_of_chain);
  in.skip(4);
  for (std::size_t i = 0; i < k_header_places; ++i)
    if (const auto sector = in.le<std::uint32_t>(); sector && *sector <= k_last_sector)
      fat_sectors_.push_back(*sector);
  return true;
}

bool Scan::tables() {
  // More places of the FAT, in a chain of sectors whose last number is the next one.
  std::uint32_t next = difat_start_;
  for (std::size_t steps = 0; next <= k_last_sector; ++steps) {
    if (steps > k_max_fat_sectors || fat_sectors_.size() > k_max_fat_sectors) {
      broken("the list of tables is too long");
      return false;
    }
    const Bytes raw = source_.view(place(next), static_cast<std::size_t>(sector_));
    Reader in(raw);
    for (std::uint64_t i = 0; i + 1 < sector_ / 4; ++i)
      if (const auto sector = in.le<std::uint32_t>(); sector && *sector <= k_last_sector)
        fat_sectors_.push_back(*sector);
    const auto link = in.le<std::uint32_t>();
    if (!link) {
      broken("the list of tables lies outside of the file");
      return false;
    }
    next = *link;
  }
  for (const std::uint32_t sector: fat_sectors_) {
    Reader in(source_.view(place(sector), static_cast<std::size_t>(sector_)));
    if (in.remaining() < sector_) {
      session_.gap(Reason::truncated, Reach::load, place(sector), "a table lies behind the end");
      return false;
    }
    while (const auto entry = in.le<std::uint32_t>())
      fat_.push_back(*entry);
  }
  return true;
}

// Places of the sectors of a chain, enough for `length` bytes (0: to its end).
std::vector<std::uint64_t> Scan::chain(std::uint32_t first, std::uint64_t length) {
  std::vector<std::uint64_t> out;
  const std::uint64_t wanted =
      length == 0 ? fat_.size()
                  : std::min<std::uint64_t>(fat_.size(), (length + sector_ - 1) / sector_);
  for (std::uint32_t at = first; at <= k_last_sector && out.size() < wanted;) {
    if (at >= fat_.size() || place(at) >= size_) {
      broken("a chain of sectors leads outside of the file");
      break;
    }
    out.push_back(place(at));
    at = fat_[at];
    if (length == 0 && out.size() == wanted && at <= k_last_sector)
      broken("a chain of sectors leads in a circle");
  }
  return out;
}

std::vector<std::uint64_t> Scan::mini_chain(std::uint32_t first, std::uint64_t length) {
  std::vector<std::uint64_t> out;
  const std::uint64_t wanted = (length + mini_sector_ - 1) / mini_sector_;
  const std::uint64_t per = sector_ / mini_sector_;
  for (std::uint32_t at = first; at <= k_last_sector && out.size() < wanted;) {
    if (at >= mini_fat_.size() || at / per >= mini_stream_.size()) {
      broken("a chain of small sectors leads outside of its stream");
      break;
    }
    out.push_back(mini_stream_[static_cast<std::size_t>(at / per)] + at % per * mini_sector_);
    at = mini_fat_[at];
  }
  return out;
}

std::vector<Entry> Scan::directory() {
  std::vector<Entry> out;
  for (const std::uint64_t at: chain(directory_start_, 0)) {
    const Bytes sector = source_.view(at, static_cast<std::size_t>(sector_));
    if (sector.size() < sector_)
      session_.gap(Reason::truncated, Reach::load, at, "the directory ends early");
    Reader in(sector, at);
    for (auto raw = in.take(128); raw && out.size() < k_max_entries; raw = in.take(128)) {
      Reader fields(*raw);
      const auto name = fields.take(64);
      const auto length = fields.le<std::uint16_t>();
      const auto kind = fields.le<std::uint8_t>();
      if (!name || !length || !kind || *kind == 0) continue;
      Entry entry;
      entry.kind = *kind;
      // UTF-16; what is not ASCII is shown as "?".
      for (std::size_t i = 0; i + 1 < std::min<std::size_t>(*length, 64); i += 2) {
        if ((*name)[i] == 0 && (*name)[i + 1] == 0) break;
        entry.name +=
            (*name)[i + 1] == 0 && (*name)[i] < 0x7f ? static_cast<char>((*name)[i]) : '?';
      }
      fields.seek(116);
      entry.start = fields.le<std::uint32_t>().value_or(k_end_of_chain);
      entry.size = fields.le<std::uint64_t>().value_or(0);
      // Writers of version 3 leave rubbish in the high half.
      if (sector_ == 512) entry.size &= 0xffffffff;
      out.push_back(std::move(entry));
    }
  }
  return out;
}

void Scan::judge(const Entry& entry) {
  const auto is = [&](std::string_view name) {
    return entry.name.size() == name.size() &&
           std::equal(name.begin(), name.end(), entry.name.begin(), [](char a, char b) {
             return a == (b >= 'A' && b <= 'Z' ? static_cast<char>(b + 32) : b);
           });
  };
  if (is("_vba_project") || is("_vba_project_cur") || is("macros") || is("vba"))
    tell(k_macro, "\"" + entry.name + "\"");
  if (is("\x01ole10native") || is("package"))
    tell(k_object, "\"" + entry.name.substr(entry.name[0] == 1 ? 1 : 0) + "\" of " +
                       std::to_string(entry.size) + " bytes");
  if (is("encryptedpackage")) {
    tell(k_encrypted, "\"" + entry.name + "\"");
    session_.gap(Reason::encrypted, Reach::data, 0, "the document is encrypted");
  }
}

// BIFF: records of type and length (MS-XLS); BoundSheet8 says what each sheet is.
void Scan::sheets(Source& workbook) {
  constexpr std::uint16_t k_bound_sheet = 0x85;
  constexpr std::uint8_t k_macro_sheet = 1;
  const std::uint64_t length = workbook.wait_end();
  for (std::uint64_t at = 0; at + 4 <= length;) {
    Reader in(workbook.view(at, 16));
    const auto type = in.le<std::uint16_t>();
    const auto size = in.le<std::uint16_t>();
    if (!type || !size) return;
    in.skip(5);
    const auto kind = in.le<std::uint8_t>();
    if (*type == k_bound_sheet && *size >= 6 && kind == k_macro_sheet)
      tell(k_macro, "a sheet of macros of Excel 4");
    at += 4 + std::uint64_t{*size};
  }
}

// The document itself, in a format of its own that is read by its records or not at all. (Excel
// keeps a zip with colours in it.)
bool is_document(std::string_view name) {
  constexpr std::array<std::string_view, 9> k_names{
      "Workbook", "Book",     "WordDocument",           "PowerPoint Document",           "0Table",
      "1Table",   "Pictures", "\x05SummaryInformation", "\x05DocumentSummaryInformation"};
  return std::find(k_names.begin(), k_names.end(), name) != k_names.end();
}

Reading Scan::run() {
  size_ = source_.wait_end();
  if (!header()) {
    session_.gap(Reason::malformed, Reach::load, 0, "the header of the compound file is wrong");
    return Reading::broken;
  }
  if (!tables()) return Reading::broken;
  const std::vector<Entry> entries = directory();
  for (const std::uint64_t at: chain(mini_fat_start_, 0)) {
    Reader in(source_.view(at, static_cast<std::size_t>(sector_)));
    while (const auto next = in.le<std::uint32_t>())
      mini_fat_.push_back(*next);
  }
  for (const Entry& entry: entries)
    if (entry.kind == 5 && entry.size > 0) mini_stream_ = chain(entry.start, entry.size);
  for (const Entry& entry: entries) {
    judge(entry);
    if (entry.kind != 2 || entry.size == 0) continue;
    if (!session_.budget().time_left()) {
      session_.gap(Reason::budget, Reach::load, 0, "out of time");
      return Reading::broken;
    }
    const bool small = entry.size < mini_cutoff_;
    if (entry.size > size_) {
      broken("a stream is longer than the file");
      continue;
    }
    if (entry.size > k_max_stream) {
      session_.gap(Reason::budget, Reach::data, 0, "a stream is too long");
      continue;
    }
    ChainSource content(
        source_, small ? mini_chain(entry.start, entry.size) : chain(entry.start, entry.size),
        small ? mini_sector_ : sector_, entry.size);
    if (entry.name == "Workbook" || entry.name == "Book") sheets(content);
    if (!is_document(entry.name)) session_.embedded(entry.name, content);
  }
  if (entries.empty()) {
    broken("the compound file has no directory");
    return Reading::broken;
  }
  return broken_ == 0 ? Reading::valid : Reading::broken;
}

Claim probe(const Probe& probe) {
  return starts_with(probe.head, k_magic) ? Claim::yes : Claim::no;
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session).run();
}

} // namespace

extern const Format format_ole;
const Format format_ole{
    .name = "ole", .family = "ole", .probe = probe, .scan = scan, .rules = k_rules};

} // namespace hubgate
