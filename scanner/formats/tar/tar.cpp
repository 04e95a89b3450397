// The scan of a tar. Headers are walked in order, each member is scanned and then released. Where
// two readers would disagree about the place of the next header, both ways are walked; see
// README.md.
#include "scanner/formats/archive/members.hpp"
#include "scanner/formats/tar/header.hpp"
#include "scanner/formats/tar/sparse.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>

namespace hubgate {

extern const Format format_tar;

namespace tar {
namespace {

constexpr std::array<Rule, 5> k_rules{{
    {"tar-desync", "structure", Severity::malicious, Reach::load, "CWE-436", "AML.T0076", "ARC-019",
     "the headers can be read in two ways, and readers disagree about which members there are"},
    {"tar-sparse", "structure", Severity::malicious, Reach::load, "CWE-436", "AML.T0076", "ARC-019",
     "the map of a sparse member contradicts the member"},
    {"tar-after-end", "structure", Severity::suspicious, Reach::load, "CWE-436", "AML.T0076",
     "ARC-020", "members stand behind the end mark: readers that ignore zeros unpack them"},
    {"tar-oversized-header", "structure", Severity::suspicious, Reach::load, "CWE-400", "AML.T0029",
     "ARC-021",
     "a header claims a name or attributes of many megabytes, which readers load into "
     "memory"},
    {"tar-bad-header", "structure", Severity::suspicious, Reach::load, "CWE-436", "AML.T0076",
     "ARC-019", "bytes that are no header stand where one should: readers stop or skip them"},
}};
const Rule& k_desync = k_rules[0];
const Rule& k_sparse = k_rules[1];
const Rule& k_after_end = k_rules[2];
const Rule& k_oversized = k_rules[3];
const Rule& k_bad_header = k_rules[4];

/// A long name or a pax header beyond this is not read: PATH_MAX is 4096, and honest attributes
/// stay below a megabyte (CPython gh-151498 is about what happens otherwise).
constexpr std::uint64_t k_longest_header = std::uint64_t{1} << 20;
/// What 11 octal digits can say; a pax size is honest where they can't.
constexpr std::uint64_t k_octal_limit = std::uint64_t{1} << 33;

// Extended headers that wait for their member.
struct Pending {
  std::map<std::string, std::string, std::less<>> pax;
  SparseMap sparse; ///< of GNU.sparse.offset and .numbytes pairs
  std::optional<std::string> long_name;
  std::optional<std::string> long_link;
  bool any = false;
};

class TarScan {
public:
  TarScan(Source& source, Session& session)
      : source_(source), session_(session), names_(session, Severity::suspicious) {}

  Reading run();

private:
  enum class Way { main, other };

  void walk(std::uint64_t at, Way way);
  std::uint64_t extended(const Header& header, std::uint64_t at, Pending& pending);
  void take_pax(const Header& header, std::uint64_t at, Bytes body, Pending& pending);
  std::uint64_t member(const Header& header, std::uint64_t at, Pending& pending);
  std::uint64_t behind_data(const Header& header, std::uint64_t data, std::uint64_t size,
                            const std::string& name);
  void content(const Header& header, std::uint64_t data, std::uint64_t size,
               const std::string& name, Pending& pending);
  bool sparse_map(const Header& header, std::uint64_t& data, std::uint64_t& size,
                  const Pending& pending, SparseMap& map, std::uint64_t& real_size);
  std::uint64_t behind_zeros(std::uint64_t at);
  std::uint64_t behind_junk(std::uint64_t at);
  bool is_header(std::uint64_t at) { return read_header(source_.view(at, k_block)).has_value(); }
  bool is_there(std::uint64_t at) { return at == 0 || !source_.view(at - 1, 1).empty(); }
  void other_way(std::uint64_t at);
  void settle(std::uint64_t upto);

  Source& source_;
  Session& session_;
  MemberNames names_;
  std::map<std::string, std::string, std::less<>> global_;
  std::set<std::uint64_t> visited_;       ///< offsets of headers
  std::vector<std::uint64_t> other_ways_; ///< offsets still to be walked from
  std::uint64_t members_ = 0;
  std::uint64_t end_ = 0; ///< behind the last header, member or end mark
  bool ended_ = false;    ///< an end mark was there
  bool broken_ = false;
};

void TarScan::other_way(std::uint64_t at) {
  if (is_header(at) && !visited_.contains(at)) other_ways_.push_back(at);
}

// Walks every other way that was found so far, then lets go of the bytes.
void TarScan::settle(std::uint64_t upto) {
  while (!other_ways_.empty()) {
    const std::uint64_t at = other_ways_.back();
    other_ways_.pop_back();
    walk(at, Way::other);
  }
  session_.release(upto);
}

// Zero blocks: returns the offset of the first block behind them that is not zero.
std::uint64_t TarScan::behind_zeros(std::uint64_t at) {
  constexpr std::size_t k_step = std::size_t{64} << 10;
  while (true) {
    const Bytes piece = source_.view(at, k_step);
    const auto zeros = static_cast<std::size_t>(
        std::find_if(piece.begin(), piece.end(), [](std::uint8_t c) { return c != 0; }) -
        piece.begin());
    if (zeros < piece.size()) return at + zeros / k_block * k_block;
    if (piece.size() < k_step) return at + piece.size();
    at += piece.size();
  }
}

// Blocks that are no header: GNU tar skips to the next one that is.
std::uint64_t TarScan::behind_junk(std::uint64_t at) {
  while (true) {
    at += k_block;
    if (at / k_block % 1024 == 0 && !session_.budget().time_left()) return at;
    const Bytes block = source_.view(at, k_block);
    if (block.size() < k_block || read_header(block)) return at;
  }
}

void TarScan::walk(std::uint64_t at, Way way) {
  Pending pending;
  while (true) {
    if (!session_.budget().time_left()) {
      session_.gap(Reason::budget, Reach::load, at, "out of time");
      broken_ = true;
      return;
    }
    // Whatever comes from here on was walked before.
    if (!visited_.insert(at).second && !pending.any) return;
    std::optional<Header> header;
    std::size_t there = 0;
    bool zero = false;
    {
      const Bytes block = source_.view(at, k_block);
      there = block.size();
      zero = is_zero_block(block);
      header = read_header(block);
    }
    if (there < k_block) {
      end_ = std::max(end_, at + there);
      // Without an end mark nobody can tell whether members are missing.
      session_.gap(Reason::truncated, Reach::load, at,
                   there == 0 ? "the archive has no end mark" : "a header is cut");
      broken_ = true;
      return;
    }
    if (zero) {
      const std::uint64_t next = behind_zeros(at);
      end_ = std::max(end_, next);
      ended_ = true;
      if (!is_header(next)) return; // the end, or what the engine scans as trailing data
      session_.find(k_after_end, next, k_block, "a member stands behind the end mark");
      pending = {};
      at = next;
      continue;
    }
    if (!header) {
      const std::uint64_t next = behind_junk(at);
      if (!is_header(next)) {
        end_ = std::max(end_, at);
        session_.gap(Reason::malformed, Reach::load, at, "no header where one should be");
        broken_ = true;
        return;
      }
      session_.find(k_bad_header, at, next - at, "no header where one should be");
      session_.gap(Reason::malformed, Reach::load, at, "no header where one should be");
      SubSource junk(source_, at, next - at);
      session_.embedded("gap@" + std::to_string(at), junk);
      pending = {};
      at = next;
      continue;
    }
    constexpr std::string_view k_extended = "xgXLKN";
    const bool is_extended = k_extended.find(header->type) != std::string_view::npos;
    const std::uint64_t next =
        is_extended ? extended(*header, at, pending) : member(*header, at, pending);
    if (!is_there(next)) {
      end_ = std::max(end_, next);
      session_.gap(Reason::truncated, Reach::load, at, "a member is cut by the end of the file");
      broken_ = true;
      settle(at);
      return;
    }
    end_ = std::max(end_, next);
    if (way == Way::main) settle(next);
    at = next;
  }
}

// A header that describes the next one: pax records or a GNU long name.
std::uint64_t TarScan::extended(const Header& header, std::uint64_t at, Pending& pending) {
  const std::uint64_t data = at + k_block;
  const std::uint64_t size = header.size.value;
  // A pax size belongs to the member; some readers apply it to the header in between
  // (GHSA-j5gw-2vrg-8fgx and kin).
  if (const auto wanted = pending.pax.find("size"); wanted != pending.pax.end()) {
    session_.find(k_desync, at, k_block, "a pax size stands before another extended header");
    if (const auto other = read_decimal(wanted->second)) other_way(data + padded(*other));
  }
  if (header.size.negative || header.size.malformed)
    session_.find(k_desync, at + 124, 12, "the size of an extended header is no number");
  pending.any = true;
  if (size > k_longest_header) {
    session_.find(k_oversized, at, k_block,
                  "an extended header of " + std::to_string(size) + " bytes");
    session_.gap(Reason::budget, Reach::load, at, "an extended header is too long to be read");
    SubSource bytes(source_, data, size);
    session_.embedded("header@" + std::to_string(at), bytes);
    return data + padded(size);
  }
  const Bytes body = source_.view(data, static_cast<std::size_t>(size));
  switch (header.type) {
  case 'L':
  case 'K':
  case 'N': {
    const std::string text(as_text(body).substr(0, as_text(body).find('\0')));
    auto& slot = header.type == 'K' ? pending.long_link : pending.long_name;
    if (slot && *slot != text)
      session_.find(k_desync, at, k_block, "two long names for one member");
    slot = text;
    break;
  }
  default:
    take_pax(header, at, body, pending);
    break;
  }
  return data + padded(size);
}

void TarScan::take_pax(const Header& header, std::uint64_t at, Bytes body, Pending& pending) {
  const auto records = read_pax(body);
  if (!records) {
    session_.find(k_desync, at, k_block, "a pax header breaks the form of its records");
    return;
  }
  const bool global = header.type == 'g';
  auto& target = global ? global_ : pending.pax;
  constexpr std::array<std::string_view, 3> k_steering{"path", "linkpath", "size"};
  std::uint64_t sparse_offset = 0;
  for (const PaxRecord& record: *records) {
    const bool steers =
        std::find(k_steering.begin(), k_steering.end(), record.key) != k_steering.end();
    if (record.key == "GNU.sparse.offset") sparse_offset = read_decimal(record.value).value_or(0);
    if (record.key == "GNU.sparse.numbytes")
      pending.sparse.emplace_back(sparse_offset, read_decimal(record.value).value_or(0));
    if (steers && global)
      session_.find(k_desync, at, k_block,
                    "a global pax header sets " + record.key + " of all members");
    const auto known = target.find(record.key);
    const bool repeats = record.key.starts_with("GNU.sparse.");
    if (known != target.end() && known->second != record.value && !global && !repeats)
      session_.find(k_desync, at, k_block,
                    "the pax key " + record.key + " is given twice: '" + known->second + "' and '" +
                        record.value + "'");
    target[record.key] = record.value;
  }
}

std::uint64_t TarScan::member(const Header& header, std::uint64_t at, Pending& pending) {
  if (++members_ > session_.limits().entries)
    session_.gap(Reason::budget, Reach::load, at, "too many members");
  const auto value = [&](std::string_view key) -> const std::string* {
    if (const auto found = pending.pax.find(key); found != pending.pax.end()) return &found->second;
    if (const auto found = global_.find(key); found != global_.end()) return &found->second;
    return nullptr;
  };
  std::string name = header.name;
  std::string link = header.link;
  if (pending.long_name) name = *pending.long_name;
  if (pending.long_link) link = *pending.long_link;
  if (const std::string* path = value("path")) {
    if (pending.long_name && *pending.long_name != *path)
      session_.find(k_desync, at, k_block,
                    "a GNU long name and a pax path for one member: '" + *pending.long_name +
                        "' and '" + *path + "'");
    name = *path;
  }
  if (const std::string* path = value("linkpath")) link = *path;
  if (const std::string* path = value("GNU.sparse.name")) name = *path;

  // Readers without pax see the short name.
  if (name != header.name) names_.check_name(header.name, at);

  std::uint64_t data = at + k_block;
  std::uint64_t size = header.size.value;
  if (header.size.negative || header.size.malformed)
    session_.find(k_desync, at + 124, 12, name + ": the size is no number that readers agree on");
  if (const std::string* stated = value("size")) {
    const auto wide = read_decimal(*stated);
    if (!wide) {
      session_.find(k_desync, at, k_block, name + ": the pax size '" + *stated + "' is no number");
    } else if (*wide != size) {
      // Only a size that the header can't hold is a reason for two different ones.
      const std::uint64_t other = data + padded(size);
      if (*wide < k_octal_limit || is_header(other))
        session_.find(k_desync, at, k_block,
                      name + ": the pax size is " + std::to_string(*wide) + ", the header's " +
                          std::to_string(size));
      other_way(other);
      size = *wide;
    }
  }

  MemberKind kind = MemberKind::file;
  switch (header.type) {
  case '1':
    kind = MemberKind::hardlink;
    break;
  case '2':
    kind = MemberKind::symlink;
    break;
  case '3':
  case '4':
  case '6':
    kind = MemberKind::device;
    break;
  case '5':
  case 'D':
    kind = MemberKind::directory;
    break;
  default:
    if (!name.empty() && name.back() == '/') kind = MemberKind::directory;
    break;
  }
  names_.check({.name = name, .offset = at, .kind = kind, .target = link});

  if (kind != MemberKind::file && header.type != 'D') {
    pending = {};
    return size == 0 ? data : behind_data(header, data, size, name);
  }
  // The header of the first file says nothing that could harm.
  if (at == 0) session_.release(data);
  const std::uint64_t stored = size;
  std::uint64_t blocks = data;
  if (header.type == 'S' && header.sparse_continues) {
    // The map goes on in blocks between header and data; content() reads them again.
    bool more = true;
    while (more && is_there(blocks + k_block)) {
      SparseMap ignored;
      more = read_sparse_block(source_.view(blocks, k_block), ignored);
      blocks += k_block;
    }
  }
  content(header, data, size, name, pending);
  pending = {};
  return blocks + padded(stored);
}

// A link, folder or device that states a size: some readers skip that many bytes, others none.
std::uint64_t TarScan::behind_data(const Header& header, std::uint64_t data, std::uint64_t size,
                                   const std::string& name) {
  const std::uint64_t far = data + padded(size);
  const Bytes block = source_.view(data, k_block);
  const bool near_fits = block.size() < k_block || is_zero_block(block) || read_header(block);
  const bool far_fits = is_header(far) || is_zero_block(source_.view(far, k_block));
  if (near_fits && !far_fits) return data; // old tars copy the size of a hard link's target
  if (near_fits)
    session_.find(k_desync, data - k_block, k_block,
                  name + " is no file and states " + std::to_string(size) +
                      " bytes: a header follows with and without them");
  if (near_fits) other_way(far);
  if (near_fits) return data;
  session_.find(archive_rules::directory_data, data, size,
                name + " (type " + header.type + ") has " + std::to_string(size) + " bytes");
  SubSource bytes(source_, data, size);
  session_.embedded(name, bytes);
  return far;
}

// The map of a sparse member in any of GNU's four forms. Moves `data` and `size` to the stored
// pieces; false when the member is not sparse.
bool TarScan::sparse_map(const Header& header, std::uint64_t& data, std::uint64_t& size,
                         const Pending& pending, SparseMap& map, std::uint64_t& real_size) {
  const auto text = [&](std::string_view key) -> std::string {
    const auto found = pending.pax.find(key);
    return found == pending.pax.end() ? std::string() : found->second;
  };
  if (header.type == 'S') {
    map = header.sparse;
    real_size = header.real_size;
    bool more = header.sparse_continues;
    while (more && is_there(data + k_block) && map.size() < 1'000'000) {
      more = read_sparse_block(source_.view(data, k_block), map);
      data += k_block;
    }
    return true;
  }
  const std::string real = text("GNU.sparse.realsize") + text("GNU.sparse.size");
  if (real.empty()) return false;
  real_size = read_decimal(real).value_or(0);
  if (text("GNU.sparse.major") == "1") {
    // Numbers in lines in front of the data: how many pieces, then offset and length of each.
    std::vector<std::uint64_t> numbers;
    std::string_view lines = as_text(source_.view(
        data, static_cast<std::size_t>(std::min<std::uint64_t>(size, k_longest_header))));
    const std::size_t whole = lines.size();
    while (numbers.empty() || numbers.size() < 2 * numbers[0] + 1) {
      const std::size_t line = lines.find('\n');
      if (line == std::string_view::npos) return true;
      const auto number = read_decimal(lines.substr(0, line));
      if (!number || *number > real_size + 1'000'000) return true;
      numbers.push_back(*number);
      if (numbers[0] > k_longest_header) return true;
      lines.remove_prefix(line + 1);
    }
    for (std::size_t i = 1; i + 1 < numbers.size(); i += 2)
      map.emplace_back(numbers[i], numbers[i + 1]);
    const std::uint64_t used = std::min<std::uint64_t>(padded(whole - lines.size()), size);
    data += used;
    size -= used;
    return true;
  }
  map = pending.sparse;
  const std::string listed = text("GNU.sparse.map");
  std::string_view list = listed;
  std::vector<std::uint64_t> numbers;
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    numbers.push_back(read_decimal(list.substr(0, comma)).value_or(0));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  for (std::size_t i = 0; i + 1 < numbers.size(); i += 2)
    map.emplace_back(numbers[i], numbers[i + 1]);
  return true;
}

void TarScan::content(const Header& header, std::uint64_t data, std::uint64_t size,
                      const std::string& name, Pending& pending) {
  SparseMap map;
  std::uint64_t real_size = 0;
  std::uint64_t pieces = data;
  std::uint64_t stored = size;
  if (!sparse_map(header, pieces, stored, pending, map, real_size)) {
    if (size == 0) return;
    SubSource bytes(source_, data, size);
    session_.member(name, bytes);
    return;
  }
  // Readers that don't know sparse members see the stored bytes.
  SubSource bytes(source_, pieces, stored);
  session_.embedded(name + "@stored", bytes);
  if (!is_consistent(map, real_size, stored)) {
    session_.find(k_sparse, data - k_block, k_block,
                  name + ": the map of the sparse member does not fit " + std::to_string(stored) +
                      " stored and " + std::to_string(real_size) + " real bytes");
    return;
  }
  DecodedSource whole(std::make_unique<SparseDecoder>(source_, pieces, std::move(map), real_size),
                      session_.budget());
  session_.member(name, whole);
}

Reading TarScan::run() {
  walk(0, Way::main);
  settle(std::min(end_, source_.wait_end()));
  if (ended_ || !broken_) session_.ends_at(end_);
  return broken_ ? Reading::broken : Reading::valid;
}

// v7 has no magic: the checksum, and numbers that are numbers.
bool is_v7(Bytes head) {
  const auto header = read_header(head);
  if (!header || header->name.empty() || header->size.malformed) return false;
  for (const auto& [at, size]: {std::pair{100u, 8u}, {108u, 8u}, {116u, 8u}, {136u, 12u}})
    if (read_number(head.subspan(at, size)).malformed) return false;
  return true;
}

Claim probe(const Probe& probe) {
  const bool magic = probe.head.size() > 262 && starts_with(probe.head.subspan(257), "ustar");
  if (magic && (probe.head.size() < k_block || read_header(probe.head))) return Claim::yes;
  return is_v7(probe.head) ? Claim::yes : Claim::no;
}

Reading scan(Source& source, Session& session) {
  return TarScan(source, session).run();
}

} // namespace
} // namespace tar

const Format format_tar{
    .name = "tar", .family = "tar", .probe = tar::probe, .scan = tar::scan, .rules = tar::k_rules};

} // namespace hubgate
