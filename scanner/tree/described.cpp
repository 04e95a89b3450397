// Files that are nothing but numbers, and the file beside them that says which: ONNX external data,
// OpenVINO's .bin, shards of TensorFlow, chunks of zarr arrays, data files of OCDBT stores.
#include "scanner/core/evidence.hpp"
#include "scanner/core/glob.hpp"
#include "scanner/core/opaque.hpp"
#include "scanner/tree/judge.hpp"
#include "scanner/tree/paths.hpp"

#include <algorithm>
#include <charconv>
#include <map>

namespace hubgate {
namespace tree {

std::optional<NamedBytes> named_bytes(std::string_view path, std::string_view target) {
  const std::size_t space = target.rfind(' ');
  if (space == std::string_view::npos) return std::nullopt;
  NamedBytes out;
  const char* end = target.data() + target.size();
  if (std::from_chars(target.data() + space + 1, end, out.bytes).ptr != end) return std::nullopt;
  out.name = target.substr(0, space);
  constexpr std::string_view k_stem = "{stem}";
  if (out.name.starts_with(k_stem)) {
    const std::string_view own = name_of(path);
    out.name.replace(0, k_stem.size(), own.substr(0, own.rfind('.')));
  }
  return out;
}

namespace {

bool is_file(const TreeEntry& entry) {
  return (entry.mode == FileMode::regular || entry.mode == FileMode::executable) &&
         !entry.pointer && entry.report != nullptr && entry.report->dropped == 0;
}

bool is_quiet(const TreeEntry& entry) {
  return std::all_of(entry.report->findings.begin(), entry.report->findings.end(),
                     [&](const Finding& finding) {
                       return finding.severity == Severity::informational ||
                              !holds_under(finding.condition, finding.where, entry.path);
                     });
}

// What a file of numbers is when it is compressed as a whole: "content" of zstd, gzip…
constexpr std::string_view k_unpacked = "content";

bool is_own_opaque(const Gap& gap) {
  return gap.reason == Reason::opaque && gap.reach == Reach::data &&
         (gap.where.empty() || gap.where == k_unpacked);
}

// Everything that describes other files must have been read and believed itself.
bool describes(const TreeEntry& entry) {
  return is_file(entry) && is_quiet(entry) &&
         std::none_of(entry.report->gaps.begin(), entry.report->gaps.end(), [&](const Gap& gap) {
           return holds_under(gap.condition, gap.where, entry.path);
         });
}

struct Group {
  std::vector<std::size_t> files;
  std::uint64_t bytes = 0;
  bool whole = true; ///< each of them is here, and is bytes without meaning of their own
};

// What one file describes, by where it does so.
void collect(std::span<const TreeEntry> entries, std::size_t from,
             const std::unordered_map<std::string_view, std::size_t>& by_path,
             std::map<std::uint64_t, Group>& out) {
  const TreeEntry& entry = entries[from];
  for (const auto& reference: entry.report->references) {
    if (reference.kind != "described" || !reference.where.empty() ||
        !holds_under(reference.condition, reference.where, entry.path))
      continue;
    Group& group = out[reference.offset];
    const auto named = named_bytes(entry.path, reference.target);
    const ResolvedPath to = named ? resolve_path(entry.path, named->name) : ResolvedPath{};
    const auto at = named && to.kind == PathKind::inside ? by_path.find(to.path) : by_path.end();
    if (at == by_path.end() || !is_file(entries[at->second])) {
      group.whole = false;
      continue;
    }
    if (group.bytes != 0 && group.bytes != named->bytes) group.whole = false;
    group.bytes = named->bytes;
    if (std::find(group.files.begin(), group.files.end(), at->second) == group.files.end())
      group.files.push_back(at->second);
  }
}

// A `chunks` reference: "c / 2 32768", see formats/zarr.
struct Chunks {
  std::size_t by = 0;
  bool prefixed = false;
  char separator = '.';
  std::uint64_t dimensions = 0;
  std::uint64_t bytes = 0;
};

std::optional<Chunks> read_chunks(std::size_t by, std::string_view target) {
  if (target.size() < 7 || target[1] != ' ' || target[3] != ' ') return std::nullopt;
  Chunks out{.by = by, .prefixed = target[0] == 'c', .separator = target[2]};
  const char* end = target.data() + target.size();
  const auto dimensions = std::from_chars(target.data() + 4, end, out.dimensions);
  if (dimensions.ec != std::errc() || dimensions.ptr == end || *dimensions.ptr != ' ')
    return std::nullopt;
  if (std::from_chars(dimensions.ptr + 1, end, out.bytes).ptr != end) return std::nullopt;
  return out;
}

// Whether `name`, as seen from the array's folder, is one of its chunks: "0.3", "c/0/3", "0" and
// "c" of an array without dimensions.
bool is_chunk_of(const Chunks& chunks, std::string_view name) {
  if (chunks.prefixed) {
    if (!name.starts_with('c')) return false;
    name.remove_prefix(1);
    if (chunks.dimensions == 0) return name.empty();
    if (!name.starts_with(chunks.separator)) return false;
    name.remove_prefix(1);
  } else if (chunks.dimensions == 0) {
    return name == "0";
  }
  std::uint64_t numbers = 0;
  for (bool more = true; more; ++numbers) {
    const std::size_t end = name.find(chunks.separator);
    const std::string_view number = name.substr(0, end);
    if (number.empty() || number.find_first_not_of("0123456789") != std::string_view::npos)
      return false;
    more = end != std::string_view::npos;
    if (more) name.remove_prefix(end + 1);
  }
  return numbers == chunks.dimensions;
}

// The bytes of a chunk, packed or not, are all that its array has for it.
bool has_bytes(const TreeEntry& entry, std::uint64_t bytes) {
  return std::all_of(entry.report->gaps.begin(), entry.report->gaps.end(), [&](const Gap& gap) {
    return !is_own_opaque(gap) || gap.detail == opaque_detail(bytes);
  });
}

using Arrays = std::map<std::string, Chunks, std::less<>>; ///< by folder

Arrays find_arrays(std::span<const TreeEntry> entries) {
  Arrays out;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].report == nullptr || entries[i].report->references.empty()) continue;
    for (const auto& reference: entries[i].report->references) {
      if (reference.kind != "chunks" || !reference.where.empty() ||
          !holds_under(reference.condition, reference.where, entries[i].path) ||
          !describes(entries[i]))
        continue;
      if (const auto chunks = read_chunks(i, reference.target))
        out.emplace(folder_of(entries[i].path), *chunks);
    }
  }
  return out;
}

std::optional<std::size_t> array_of(const Arrays& arrays, const TreeEntry& entry) {
  constexpr int k_most_dimensions = 33;
  std::string_view folder = entry.path;
  for (int level = 0; level < k_most_dimensions && !folder.empty(); ++level) {
    folder = folder_of(folder);
    const auto found = arrays.find(folder);
    if (found == arrays.end()) continue;
    const std::string_view name =
        std::string_view(entry.path).substr(folder.empty() ? 0 : folder.size() + 1);
    return is_chunk_of(found->second, name) && has_bytes(entry, found->second.bytes)
               ? std::optional(found->second.by)
               : std::nullopt;
  }
  return std::nullopt;
}

} // namespace
} // namespace tree

bool is_only_opaque(const TreeEntry& entry) {
  if (!tree::is_file(entry) || !tree::is_quiet(entry)) return false;
  bool opaque = false;
  for (const auto& gap: entry.report->gaps) {
    if (!holds_under(gap.condition, gap.where, entry.path)) continue;
    if (!tree::is_own_opaque(gap)) return false;
    opaque = true;
  }
  return opaque;
}

std::vector<std::optional<std::size_t>> described_files(std::span<const TreeEntry> entries) {
  std::vector<std::optional<std::size_t>> out(entries.size());
  const bool any = std::any_of(entries.begin(), entries.end(), is_only_opaque);
  if (!any) return out;
  std::unordered_map<std::string_view, std::size_t> by_path;
  for (std::size_t i = 0; i < entries.size(); ++i)
    by_path.emplace(entries[i].path, i);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].report == nullptr || !tree::describes(entries[i])) continue;
    std::map<std::uint64_t, tree::Group> groups;
    tree::collect(entries, i, by_path, groups);
    for (const auto& [offset, group]: groups) {
      std::uint64_t bytes = 0;
      for (const std::size_t file: group.files)
        if (__builtin_add_overflow(bytes, entries[file].size, &bytes)) bytes = 0;
      if (!group.whole || group.bytes == 0 || bytes != group.bytes) continue;
      for (const std::size_t file: group.files)
        if (!out[file] && is_only_opaque(entries[file])) out[file] = i;
    }
  }
  const tree::Arrays arrays = tree::find_arrays(entries);
  for (std::size_t i = 0; !arrays.empty() && i < entries.size(); ++i)
    if (!out[i] && is_only_opaque(entries[i])) out[i] = tree::array_of(arrays, entries[i]);
  return out;
}

Report as_described(const Report& report, std::string_view by) {
  Report out = report;
  std::erase_if(out.gaps, tree::is_own_opaque);
  const Rule& rule = tree::rule(tree::RuleId::described);
  Finding finding;
  finding.rule = rule.id;
  finding.klass = rule.klass;
  finding.severity = rule.severity;
  finding.reach = rule.reach;
  finding.length = report.size;
  finding.evidence = printable(std::string(by) + " says what all of these bytes are");
  out.findings.push_back(std::move(finding));
  return out;
}

} // namespace hubgate
