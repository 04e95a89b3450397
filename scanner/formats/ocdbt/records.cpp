#include "scanner/formats/ocdbt/records.hpp"

#include "scanner/codecs/codecs.hpp"
#include "scanner/core/crc32c.hpp"
#include "scanner/core/path_kind.hpp"
#include "scanner/core/reader.hpp"

#include <algorithm>
#include <array>

namespace hubgate::ocdbt {
namespace {

constexpr std::uint64_t k_least_record = 18;                   ///< header and checksum
constexpr std::uint64_t k_max_body = std::uint64_t{128} << 20; ///< writers stop at 100 MB
constexpr std::uint64_t k_max_entries = 2'000'000;
constexpr std::uint64_t k_max_path = 65535;
constexpr std::size_t k_piece = std::size_t{1} << 20;

std::optional<std::uint64_t> varint(Reader& reader) {
  std::uint64_t value = 0;
  for (unsigned i = 0; i < 10; ++i) {
    const auto byte = reader.le<std::uint8_t>();
    if (!byte || (i == 9 && *byte > 1)) return std::nullopt;
    value |= std::uint64_t{*byte & 0x7fU} << (7 * i);
    if (*byte < 0x80) return value;
  }
  return std::nullopt;
}

// A column of the tables that nodes consist of.
std::optional<std::vector<std::uint64_t>> column(Reader& reader, std::uint64_t count) {
  if (!reader.can_hold(count, 1)) return std::nullopt;
  std::vector<std::uint64_t> out;
  out.reserve(static_cast<std::size_t>(count));
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto value = varint(reader);
    if (!value) return std::nullopt;
    out.push_back(*value);
  }
  return out;
}

// "params.kernel/0.0", "params.kernel/c/0/0", "step/c": raw numbers of an array.
bool is_chunk(std::string_view key) {
  const std::string_view name = key.substr(key.rfind('/') + 1); // npos + 1 is 0
  return name == "c" || (!name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= '0' && c <= '9') || c == '.';
         }));
}

class RecordReader {
public:
  RecordReader(Session& session, std::uint64_t at, Kind kind, Bytes body, Described& described)
      : session_(session), at_(at), kind_(kind), reader_(body), described_(described) {}

  bool run() {
    switch (kind_) {
    case Kind::manifest:
      return manifest();
    case Kind::versions:
      return versions();
    case Kind::tree:
      return tree();
    }
    return false;
  }

private:
  bool manifest();
  bool versions();
  bool tree();
  bool leaf(std::uint64_t count);
  bool interior(std::uint64_t count);
  bool files();
  bool roots();
  bool children(bool with_heights);
  bool note(std::uint64_t file, std::uint64_t offset, std::uint64_t length);
  void value(const std::string& key, Bytes bytes);
  bool wrong(std::string_view what) {
    session_.find(k_rule_structure, at_, 0, what);
    session_.gap(Reason::malformed, Reach::load, at_, "a record of the store can't be read");
    return false;
  }
  bool too_large(std::string_view what) {
    session_.gap(Reason::budget, Reach::load, at_, what);
    return false;
  }

  Session& session_;
  std::uint64_t at_;
  Kind kind_;
  Reader reader_;
  Described& described_;
  std::vector<std::string> files_; ///< as seen from the file that this record is in
};

// uuid, kind, two limits, arity, compression [level]; then, unless the versions are in files of
// their own, what versions() has.
bool RecordReader::manifest() {
  if (!reader_.skip(16)) return wrong("a manifest without configuration");
  const auto kind = varint(reader_);
  const auto inline_limit = varint(reader_);
  const auto node_limit = varint(reader_);
  const auto arity = reader_.le<std::uint8_t>();
  const auto method = varint(reader_);
  if (!kind || !inline_limit || !node_limit || !arity || !method)
    return wrong("a manifest whose configuration ends early");
  if (*kind > 1 || *method > 1) {
    session_.gap(Reason::unsupported, Reach::load, at_,
                 "a manifest of kind " + std::to_string(*kind) + " with compression " +
                     std::to_string(*method));
    return false;
  }
  if (*method == 1 && !reader_.skip(4)) return wrong("a manifest without compression level");
  if (*kind == 1) return reader_.at_end() || wrong("bytes behind the configuration");
  if (!files() || !roots() || !children(true)) return false;
  return reader_.at_end() || wrong("bytes behind the versions");
}

bool RecordReader::versions() {
  const auto arity = reader_.le<std::uint8_t>();
  const auto height = reader_.le<std::uint8_t>();
  if (!arity || !height) return wrong("a node without height");
  if (!files() || !(*height == 0 ? roots() : children(false))) return false;
  return reader_.at_end() || wrong("bytes behind the versions");
}

bool RecordReader::tree() {
  const auto height = reader_.le<std::uint8_t>();
  if (!height) return wrong("a node without height");
  if (!files()) return false;
  const auto count = varint(reader_);
  if (!count || !reader_.can_hold(*count, 4)) return wrong("more entries than the node has bytes");
  if (*count > k_max_entries) return too_large("a node of " + std::to_string(*count) + " entries");
  if (!(*height == 0 ? leaf(*count) : interior(*count))) return false;
  return reader_.at_end() || wrong("bytes behind the entries");
}

// Paths with shared beginnings: lengths of what each shares with the one before, of the rest, and
// of the part that holds for everything below; then the rests.
bool RecordReader::files() {
  const auto count = varint(reader_);
  if (!count || !reader_.can_hold(*count, 2)) return wrong("more files than the record has bytes");
  if (*count > k_max_entries) return too_large("a table of " + std::to_string(*count) + " files");
  const auto shared = column(reader_, *count == 0 ? 0 : *count - 1);
  const auto rest = shared ? column(reader_, *count) : std::nullopt;
  const auto base = rest ? column(reader_, *count) : std::nullopt;
  if (!base) return wrong("the table of files ends early");
  // A record in a data file names others from the store's root, which is above its folder.
  const std::string root = kind_ == Kind::manifest ? "" : "../";
  std::string path;
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < rest->size(); ++i) {
    const std::uint64_t keep = i == 0 ? 0 : (*shared)[i - 1];
    const auto suffix = reader_.take((*rest)[i]);
    if (!suffix || keep > path.size() || keep + suffix->size() > k_max_path)
      return wrong("a path of the table of files can't be put together");
    path.resize(static_cast<std::size_t>(keep));
    path += as_text(*suffix);
    if ((*base)[i] > path.size()) return wrong("a path is shorter than its own beginning");
    if (path_kind(path) != PathKind::plain)
      session_.find(k_rule_path, at_, 0,
                    "\"" + path + "\", which " + std::string(to_string(path_kind(path))));
    total += path.size();
    if (total > k_max_body) return too_large("the paths of the table of files");
    files_.push_back(root + path);
  }
  return true;
}

bool RecordReader::note(std::uint64_t file, std::uint64_t offset, std::uint64_t length) {
  std::uint64_t end = 0;
  if (file >= files_.size())
    return wrong("an entry names file " + std::to_string(file) + " of " +
                 std::to_string(files_.size()));
  if (__builtin_add_overflow(offset, length, &end)) return wrong("an entry ends beyond any file");
  described_.add(files_[static_cast<std::size_t>(file)], offset, length);
  return true;
}

// The versions' roots: generations, heights, places, three statistics, times.
bool RecordReader::roots() {
  const auto count = varint(reader_);
  if (!count || !reader_.can_hold(*count, 16)) return wrong("more versions than bytes");
  if (*count > k_max_entries) return too_large("a list of versions");
  const auto generations = column(reader_, *count);
  if (!generations || !reader_.skip(*count)) return wrong("the list of versions ends early");
  const auto file = column(reader_, *count);
  const auto offset = file ? column(reader_, *count) : std::nullopt;
  const auto length = offset ? column(reader_, *count) : std::nullopt;
  if (!length) return wrong("the list of versions ends early");
  for (int statistic = 0; statistic < 3; ++statistic)
    if (!column(reader_, *count)) return wrong("the list of versions ends early");
  if (!reader_.skip(*count * 8)) return wrong("the list of versions ends early");
  constexpr std::uint64_t k_missing = ~std::uint64_t{0}; // a store without any key
  for (std::size_t i = 0; i < length->size(); ++i)
    if ((*offset)[i] != k_missing && !note((*file)[i], (*offset)[i], (*length)[i])) return false;
  return true;
}

// Nodes of the tree of versions: generations, places, numbers, times[, heights].
bool RecordReader::children(bool with_heights) {
  const auto count = varint(reader_);
  if (!count || !reader_.can_hold(*count, 13)) return wrong("more nodes than bytes");
  if (*count > k_max_entries) return too_large("a list of nodes");
  const auto generations = column(reader_, *count);
  const auto file = generations ? column(reader_, *count) : std::nullopt;
  const auto offset = file ? column(reader_, *count) : std::nullopt;
  const auto length = offset ? column(reader_, *count) : std::nullopt;
  const auto numbers = length ? column(reader_, *count) : std::nullopt;
  if (!numbers || !reader_.skip(*count * (with_heights ? 9 : 8)))
    return wrong("the list of nodes ends early");
  for (std::size_t i = 0; i < length->size(); ++i)
    if (!note((*file)[i], (*offset)[i], (*length)[i])) return false;
  return true;
}

bool RecordReader::interior(std::uint64_t count) {
  const auto shared = column(reader_, count == 0 ? 0 : count - 1);
  const auto rest = shared ? column(reader_, count) : std::nullopt;
  const auto common = rest ? column(reader_, count) : std::nullopt;
  if (!common) return wrong("the keys of a node end early");
  for (const std::uint64_t length: *rest)
    if (!reader_.skip(length)) return wrong("the keys of a node end early");
  const auto file = column(reader_, count);
  const auto offset = file ? column(reader_, count) : std::nullopt;
  const auto length = offset ? column(reader_, count) : std::nullopt;
  if (!length) return wrong("the places of a node end early");
  for (int statistic = 0; statistic < 3; ++statistic)
    if (!column(reader_, count)) return wrong("the statistics of a node end early");
  for (std::size_t i = 0; i < length->size(); ++i)
    if (!note((*file)[i], (*offset)[i], (*length)[i])) return false;
  return true;
}

void RecordReader::value(const std::string& key, Bytes bytes) {
  if (bytes.empty()) return;
  MemorySource source(bytes);
  session_.member(key, source);
  if (!is_chunk(key)) return;
  session_.raw_member(key);
  session_.raw_member(key + "!content");
}

bool RecordReader::leaf(std::uint64_t count) {
  const auto shared = column(reader_, count == 0 ? 0 : count - 1);
  const auto rest = shared ? column(reader_, count) : std::nullopt;
  if (!rest) return wrong("the keys of a node end early");
  std::vector<Bytes> suffixes;
  suffixes.reserve(rest->size());
  for (const std::uint64_t length: *rest) {
    const auto suffix = reader_.take(length);
    if (!suffix) return wrong("the keys of a node end early");
    suffixes.push_back(*suffix);
  }
  const auto length = column(reader_, count);
  const auto kind = length ? column(reader_, count) : std::nullopt;
  if (!kind) return wrong("the values of a node end early");
  const auto inside = static_cast<std::uint64_t>(std::count(kind->begin(), kind->end(), 0U));
  const auto outside = static_cast<std::uint64_t>(std::count(kind->begin(), kind->end(), 1U));
  if (inside + outside != count) return wrong("a value of a kind that is none");
  const auto file = column(reader_, outside);
  const auto offset = file ? column(reader_, outside) : std::nullopt;
  if (!offset) return wrong("the places of a node's values end early");
  std::string key;
  std::size_t elsewhere = 0;
  for (std::size_t i = 0; i < length->size(); ++i) {
    const std::uint64_t keep = i == 0 ? 0 : (*shared)[i - 1];
    if (keep > key.size() || keep + suffixes[i].size() > k_max_path)
      return wrong("a key can't be put together");
    key.resize(static_cast<std::size_t>(keep));
    key += as_text(suffixes[i]);
    if ((*kind)[i] == 1) {
      if (!note((*file)[elsewhere], (*offset)[elsewhere], (*length)[i])) return false;
      ++elsewhere;
      continue;
    }
    const auto bytes = reader_.take((*length)[i]);
    if (!bytes) return wrong("the values of a node end early");
    value(key, *bytes);
    if (!session_.budget().time_left()) return too_large("out of time in the values of a node");
  }
  return true;
}

} // namespace

std::optional<Kind> kind_of(Bytes head) {
  Reader reader(head);
  const auto magic = reader.be<std::uint32_t>();
  if (magic == 0x0cdb3a2aU) return Kind::manifest;
  if (magic == 0x0cdb20deU) return Kind::tree;
  if (magic == 0x0cdb1234U) return Kind::versions;
  return std::nullopt;
}

std::optional<std::uint64_t> record_end(Source& source, std::uint64_t begin) {
  Reader reader(source.view(begin, 12));
  if (!reader.skip(4)) return std::nullopt;
  const auto length = reader.le<std::uint64_t>();
  std::uint64_t end = 0;
  if (!length || *length < k_least_record || __builtin_add_overflow(begin, *length, &end))
    return std::nullopt;
  return end;
}

bool checksum_holds(Source& source, std::uint64_t begin, std::uint64_t end) {
  std::uint32_t sum = 0;
  for (std::uint64_t at = begin; at < end - 4;) {
    const Bytes piece =
        source.view(at, static_cast<std::size_t>(std::min<std::uint64_t>(k_piece, end - 4 - at)));
    if (piece.empty()) return false;
    sum = crc32c(piece, sum);
    at += piece.size();
  }
  Reader reader(source.view(end - 4, 4));
  return reader.le<std::uint32_t>() == sum;
}

void Described::add(const std::string& path, std::uint64_t offset, std::uint64_t length) {
  files_[path].add(offset, length);
}

void Described::tell(Session& session) {
  constexpr std::size_t k_most = 2000;
  if (files_.size() > k_most) return;
  std::uint64_t number = 0; // references of one offset would be taken as one group of files
  for (auto& [path, extents]: files_)
    if (const auto whole = extents.whole())
      session.refer("described", number++, path + " " + std::to_string(*whole));
}

bool read_record(Source& source, Session& session, Kind kind, std::uint64_t begin,
                 std::uint64_t end, Described& described) {
  std::uint64_t at = begin + 12;
  std::array<std::uint64_t, 2> header{}; // version, compression
  for (std::uint64_t& number: header) {
    Reader reader(source.view(at, 10));
    const auto value = varint(reader);
    if (!value) break;
    number = *value;
    at += reader.position();
  }
  if (header[0] != 0 || header[1] > 1) {
    session.gap(Reason::unsupported, Reach::load, begin,
                "a record of version " + std::to_string(header[0]) + " with compression " +
                    std::to_string(header[1]));
    return false;
  }
  const std::uint64_t body_end = end - 4;
  std::vector<std::uint8_t> body;
  DecodedSource decoded(decode_zstd(source, at, body_end), session.budget());
  SubSource stored(source, at, at < body_end ? body_end - at : 0);
  Source& from = header[1] == 1 ? static_cast<Source&>(decoded) : stored;
  while (body.size() <= k_max_body) {
    const Bytes piece = from.view(body.size(), k_piece);
    if (piece.empty()) break;
    body.insert(body.end(), piece.begin(), piece.end());
  }
  if (body.size() > k_max_body || from.fault() == Fault::budget) {
    session.gap(Reason::budget, Reach::load, begin, "a record of more than 128 MiB");
    return false;
  }
  if (from.fault() != Fault::none) {
    session.find(k_rule_structure, begin, end - begin, "the body of a record can't be unpacked");
    session.gap(Reason::malformed, Reach::load, begin, "a record of the store can't be read");
    return false;
  }
  return RecordReader(session, begin, kind, body, described).run();
}

} // namespace hubgate::ocdbt
