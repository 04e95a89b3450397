#include "scanner/codecs/checked_source.hpp"
#include "scanner/codecs/codecs.hpp"
#include "scanner/formats/archive/members.hpp"
#include "scanner/formats/sevenzip/header.hpp"

#include <algorithm>
#include <array>

namespace hubgate {

extern const Format format_sevenzip;

namespace sevenzip {
namespace {

constexpr std::array<Rule, 4> k_rules{{
    {"sevenzip-bad-crc", "structure", Severity::suspicious, Reach::load, "CWE-354", "AML.T0076",
     "ARC-003", "a checksum in the archive is wrong: some readers refuse it and others use it"},
    {"sevenzip-gap", "structure", Severity::suspicious, Reach::data, "CWE-436", "AML.T0076",
     "ARC-008", "bytes of the archive belong to none of its streams"},
    {"sevenzip-unused-stream", "structure", Severity::suspicious, Reach::data, "CWE-436",
     "AML.T0076", "ARC-008", "a packed stream belongs to no file"},
    {"sevenzip-anti-item", "structure", Severity::suspicious, Reach::load, "CWE-73", "AML.T0076",
     "ARC-017", "the archive tells the unpacker to delete a file"},
}};
const Rule& k_bad_crc = k_rules[0];
const Rule& k_gap = k_rules[1];
const Rule& k_unused_stream = k_rules[2];
const Rule& k_anti_item = k_rules[3];

/// A header beyond this is not read: a million files have about 60 MB of names.
constexpr std::uint64_t k_longest_header = std::uint64_t{128} << 20;

// Coder ids (Methods.txt of the LZMA SDK, and those of the zstd and lz4 builds).
constexpr std::uint64_t k_copy = 0x00;
constexpr std::uint64_t k_deflate = 0x040108;
constexpr std::uint64_t k_bzip2 = 0x040202;
constexpr std::uint64_t k_zstd = 0x04f71101;
constexpr std::uint64_t k_lz4 = 0x04f71104;
constexpr std::uint64_t k_aes = 0x06f10701;

std::optional<RawFilter::Kind> filter_of(std::uint64_t id) {
  using Kind = RawFilter::Kind;
  switch (id) {
  case 0x030101:
    return Kind::lzma1;
  case 0x21:
    return Kind::lzma2;
  case 0x03:
    return Kind::delta;
  case 0x04:
  case 0x03030103:
    return Kind::x86;
  case 0x05:
  case 0x03030205:
    return Kind::powerpc;
  case 0x06:
  case 0x03030401:
    return Kind::ia64;
  case 0x07:
  case 0x03030501:
    return Kind::arm;
  case 0x08:
  case 0x03030701:
    return Kind::armthumb;
  case 0x09:
  case 0x03030805:
    return Kind::sparc;
  case 0x0a:
    return Kind::arm64;
  default:
    return std::nullopt;
  }
}

std::string hex_id(std::uint64_t id) {
  static constexpr std::string_view k_digits = "0123456789abcdef";
  std::string out;
  for (; id != 0 || out.empty(); id >>= 4)
    out.insert(out.begin(), k_digits[id & 15]);
  return "coder " + out;
}

// What a folder decodes to.
struct Content {
  std::unique_ptr<SubSource> packed;
  std::unique_ptr<DecodedSource> decoded; ///< null for Copy
  bool encrypted = false;
  std::string unsupported; ///< what could not be decoded

  Source* source() { return decoded ? static_cast<Source*>(decoded.get()) : packed.get(); }
  bool readable() const { return !encrypted && unsupported.empty(); }
};

class SevenZipScan {
public:
  SevenZipScan(Source& source, Session& session)
      : source_(source), session_(session), names_(session, Severity::malicious) {}

  Reading run();

private:
  Content open(const Streams& streams, const Folder& folder);
  bool take_header(const SignatureHeader& start, Header& header);
  bool report(Failure failure);
  bool decode_header(const Streams& streams, std::vector<std::uint8_t>& bytes);
  void scan_files(const Header& header);
  void scan_folder(const Streams& streams, const Folder& folder, std::size_t number,
                   std::span<const File* const> files);
  void check_kind(const File& file, Source* content);
  void scan_gaps(const Streams& streams, std::uint64_t header_begin);
  Reading give_up(Reason reason, std::string_view detail);

  Source& source_;
  Session& session_;
  MemberNames names_;
  std::vector<PackStream> used_;
};

Content SevenZipScan::open(const Streams& streams, const Folder& folder) {
  Content content;
  const std::size_t first = static_cast<std::size_t>(folder.first_pack_stream);
  const PackStream packed =
      first < streams.packed.size() ? streams.packed[first] : PackStream{0, 0};
  content.packed = std::make_unique<SubSource>(
      source_, k_signature_header + std::min(packed.offset, ~k_signature_header), packed.size);
  for (const Coder& coder: folder.coders)
    content.encrypted = content.encrypted || coder.id == k_aes;
  if (content.encrypted) return content;

  const auto chain = folder.chain();
  if (!chain) {
    content.unsupported = hex_id(folder.coders.empty() ? 0 : folder.coders[0].id);
    return content;
  }
  const Coder& last = *chain->back();
  DecoderPtr decoder;
  if (chain->size() == 1 && last.id == k_copy) return content;
  if (chain->size() == 1) {
    if (last.id == k_deflate) decoder = decode_deflate(*content.packed, 0);
    if (last.id == k_bzip2) decoder = decode_bzip2(*content.packed, 0);
    if (last.id == k_zstd) decoder = decode_zstd(*content.packed, 0);
    if (last.id == k_lz4) decoder = decode_lz4(*content.packed, 0);
  }
  if (!decoder) {
    std::vector<RawFilter> filters;
    for (const Coder* coder: *chain) {
      const auto kind = filter_of(coder->id);
      if (!kind) {
        content.unsupported = hex_id(coder->id);
        return content;
      }
      filters.push_back({*kind, coder->properties});
    }
    const auto kind = filters.back().kind;
    if (kind != RawFilter::Kind::lzma1 && kind != RawFilter::Kind::lzma2) {
      content.unsupported = hex_id(last.id) + " without LZMA";
      return content;
    }
    decoder = decode_raw_lzma(*content.packed, 0, k_to_the_end, std::move(filters), folder.size());
  }
  content.decoded = std::make_unique<DecodedSource>(std::move(decoder), session_.budget());
  return content;
}

bool SevenZipScan::report(Failure failure) {
  switch (failure) {
  case Failure::none:
    return true;
  case Failure::malformed:
    session_.gap(Reason::malformed, Reach::load, 0, "the header can't be read");
    return false;
  case Failure::unsupported:
    session_.gap(Reason::unsupported, Reach::load, 0, "the header keeps its parts elsewhere");
    return false;
  case Failure::too_large:
    session_.gap(Reason::budget, Reach::load, 0, "the header tells of too many files");
    return false;
  }
  return false;
}

bool SevenZipScan::decode_header(const Streams& streams, std::vector<std::uint8_t>& bytes) {
  if (streams.folders.empty()) return report(Failure::malformed);
  const Folder& folder = streams.folders.front();
  Content content = open(streams, folder);
  if (content.encrypted) {
    session_.find(archive_rules::encrypted, 0, 0, "the header, with all names, is encrypted");
    session_.gap(Reason::encrypted, Reach::load, 0, "the header is encrypted");
    return false;
  }
  if (!content.unsupported.empty()) {
    session_.find(archive_rules::exotic_method, 0, 0, "the header: " + content.unsupported);
    session_.gap(Reason::unsupported, Reach::load, 0, "the header: " + content.unsupported);
    return false;
  }
  if (folder.size() > k_longest_header) return report(Failure::too_large);
  const Bytes decoded = content.source()->view(0, static_cast<std::size_t>(folder.size()));
  if (decoded.size() < folder.size()) return report(Failure::malformed);
  bytes.assign(decoded.begin(), decoded.end());
  if (folder.crc && *folder.crc != crc32_of(bytes))
    session_.find(k_bad_crc, 0, 0, "the checksum of the packed header is wrong");
  for (const PackStream& packed: streams.packed)
    used_.push_back(packed);
  return true;
}

// Reads the header, unpacking it as often as it is packed.
bool SevenZipScan::take_header(const SignatureHeader& start, Header& header) {
  std::vector<std::uint8_t> bytes;
  {
    const Bytes raw = source_.view(k_signature_header + start.next_offset,
                                   static_cast<std::size_t>(start.next_size));
    bytes.assign(raw.begin(), raw.end());
  }
  if (!start.crc_right || crc32_of(bytes) != start.next_crc)
    session_.find(k_bad_crc, 8, 24, "the checksum of the header is wrong");
  constexpr int k_packings = 4;
  for (int i = 0; i < k_packings; ++i) {
    ParsedHeader parsed = parse_header(bytes, session_.limits().entries);
    if (!report(parsed.failure)) return false;
    if (!parsed.header.encoded) {
      header = std::move(parsed.header);
      return true;
    }
    if (!decode_header(parsed.header.streams, bytes)) return false;
  }
  session_.gap(Reason::budget, Reach::load, 0, "the header is packed too often");
  return false;
}

// Links and devices: the upper half of the attributes is a unix mode where bit 15 says so.
void SevenZipScan::check_kind(const File& file, Source* content) {
  MemberFacts facts{.name = file.name};
  std::string target;
  if (file.directory) facts.kind = MemberKind::directory;
  constexpr std::uint32_t k_unix = 0x8000;
  constexpr std::uint32_t k_reparse_point = 0x400; // a link on Windows
  const std::uint32_t type = (file.attributes & k_unix) != 0 ? file.attributes >> 16 & 0170000 : 0;
  if (type == 0120000 || (file.attributes & k_reparse_point) != 0) {
    facts.kind = MemberKind::symlink;
    if (content != nullptr) target = as_text(content->view(0, 4096));
  }
  if (type == 0060000 || type == 0020000 || type == 0010000 || type == 0140000)
    facts.kind = MemberKind::device;
  facts.target = target;
  names_.check(facts);
  if (file.anti) session_.find(k_anti_item, 0, 0, file.name);
}

void SevenZipScan::scan_folder(const Streams& streams, const Folder& folder, std::size_t number,
                               std::span<const File* const> files) {
  Content content = open(streams, folder);
  if (!content.readable()) {
    const std::string names = files.empty() ? std::string() : ": " + files.front()->name;
    const bool encrypted = content.encrypted;
    const std::string what = (encrypted ? "an encrypted folder" : content.unsupported) + names +
                             (files.size() > 1 ? " and others" : "");
    session_.find(encrypted ? archive_rules::encrypted : archive_rules::exotic_method, 0, 0, what);
    session_.gap(encrypted ? Reason::encrypted : Reason::unsupported, Reach::load, 0, what);
    for (const File* file: files)
      check_kind(*file, nullptr);
    session_.embedded("folder " + std::to_string(number), *content.packed);
    return;
  }
  Source& bytes = *content.source();
  std::uint64_t at = 0;
  for (std::size_t i = 0; i < folder.streams.size(); ++i) {
    const Folder::Stream& stream = folder.streams[i];
    SubSource piece(bytes, at, stream.size);
    CheckedSource checked(piece);
    const bool named = i < files.size();
    const std::string name =
        named ? files[i]->name : "stream " + std::to_string(number) + '.' + std::to_string(i);
    if (!named) session_.find(k_unused_stream, 0, 0, name);
    session_.member(name, checked);
    checked.finish();
    if (checked.length() < stream.size && checked.fault() == Fault::none)
      session_.gap(Reason::truncated, Reach::load, 0, name + " is shorter than the header says");
    if (stream.crc && checked.length() == stream.size && checked.crc() != *stream.crc)
      session_.find(k_bad_crc, 0, 0, name + " does not have the checksum that the header states");
    if (named) check_kind(*files[i], &checked);
    at += stream.size;
  }
}

void SevenZipScan::scan_files(const Header& header) {
  std::vector<const File*> full;
  for (const File& file: header.files) {
    if (file.has_stream) {
      full.push_back(&file);
      continue;
    }
    if (!session_.budget().entry()) {
      session_.gap(Reason::budget, Reach::load, 0, "too many members");
      return;
    }
    check_kind(file, nullptr);
  }
  std::size_t next = 0;
  for (std::size_t i = 0; i < header.streams.folders.size(); ++i) {
    if (!session_.budget().time_left()) {
      session_.gap(Reason::budget, Reach::load, 0, "out of time");
      return;
    }
    const Folder& folder = header.streams.folders[i];
    const std::size_t n = std::min(folder.streams.size(), full.size() - next);
    scan_folder(header.streams, folder, i, std::span(full).subspan(next, n));
    next += n;
  }
  if (next < full.size())
    session_.gap(Reason::malformed, Reach::load, 0,
                 full[next]->name + " has no stream that holds it");
}

// Bytes between the signature header and the header that no stream uses.
void SevenZipScan::scan_gaps(const Streams& streams, std::uint64_t header_begin) {
  used_.insert(used_.end(), streams.packed.begin(), streams.packed.end());
  used_.push_back({header_begin - k_signature_header, 0});
  std::sort(used_.begin(), used_.end(),
            [](const PackStream& a, const PackStream& b) { return a.offset < b.offset; });
  std::uint64_t reach = 0;
  for (const PackStream& stream: used_) {
    if (stream.offset > reach) {
      const std::uint64_t begin = k_signature_header + reach;
      SubSource bytes(source_, begin, stream.offset - reach);
      session_.find(k_gap, begin, stream.offset - reach,
                    std::to_string(stream.offset - reach) + " bytes");
      session_.embedded("gap@" + std::to_string(begin), bytes);
    }
    reach = std::max(reach, stream.offset + std::min(stream.size, ~stream.offset));
  }
}

Reading SevenZipScan::give_up(Reason reason, std::string_view detail) {
  if (!detail.empty()) session_.gap(reason, Reach::load, 0, detail);
  // What is stored in it without packing shows all the same.
  TailSource bytes(source_, k_signature_header);
  session_.embedded("packed", bytes);
  return Reading::broken;
}

Reading SevenZipScan::run() {
  std::optional<SignatureHeader> start;
  {
    const Bytes head = source_.view(0, k_signature_header);
    start = read_signature_header(head);
  }
  if (!start) {
    session_.gap(Reason::truncated, Reach::load, 0, "the signature header is cut");
    return Reading::broken;
  }
  // Nothing can be unpacked without the header, which stands at the end.
  session_.release(k_signature_header);
  const std::uint64_t size = source_.wait_end();
  if (start->next_size > k_longest_header) {
    report(Failure::too_large);
    return give_up(Reason::budget, "");
  }
  const std::uint64_t begin =
      k_signature_header + std::min(start->next_offset, size); // no wrap: size is a file's
  if (begin > size || start->next_size > size - begin || start->next_offset > size)
    return give_up(Reason::truncated, "the header lies behind the end of the file");
  session_.ends_at(begin + start->next_size);
  if (start->next_size == 0) return Reading::valid;

  Header header;
  if (!take_header(*start, header)) return give_up(Reason::malformed, "");
  scan_files(header);
  scan_gaps(header.streams, begin);
  session_.release(begin + start->next_size);
  return Reading::valid;
}

Claim probe(const Probe& probe) {
  return starts_with(probe.head, k_magic) ? Claim::yes : Claim::no;
}

Reading scan(Source& source, Session& session) {
  return SevenZipScan(source, session).run();
}

} // namespace
} // namespace sevenzip

const Format format_sevenzip{.name = "7z",
                             .family = "7z",
                             .probe = sevenzip::probe,
                             .scan = sevenzip::scan,
                             .rules = sevenzip::k_rules};

} // namespace hubgate
