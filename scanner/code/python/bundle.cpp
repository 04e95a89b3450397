// The bundle of a repository's texts, as repository.hpp describes it.
#include "scanner/code/python/analyse.hpp"
#include "scanner/code/python/cells.hpp"
#include "scanner/code/python/repository.hpp"
#include "scanner/core/evidence.hpp"
#include "scanner/core/reader.hpp"

#include <algorithm>
#include <limits>

namespace hubgate::python {
namespace {

constexpr std::string_view k_magic = "hubgate repository\n";
constexpr std::size_t k_max_path = 4096;

void put32(std::string& out, std::size_t value) {
  for (unsigned shift = 0; shift < 32; shift += 8)
    out += static_cast<char>((value >> shift) & 0xff);
}

Claim probe(const Probe& probe) {
  return as_text(probe.head).starts_with(k_magic) ? Claim::yes : Claim::no;
}

// Notebooks and path files become Python, which is put behind all other texts.
struct Recovered {
  std::string bytes;
  std::vector<RepositoryFile> files; ///< views into `bytes`, in the order of their texts
};

Recovered recovered(const std::string& bytes, std::span<const RepositoryFile> files) {
  Recovered out;
  std::vector<std::pair<RepositoryFile, std::string>> codes;
  std::size_t room = k_max_repository;
  for (const RepositoryFile& file: files) {
    const std::string_view text = std::string_view(bytes).substr(file.begin, file.length);
    const bool notebook = file.path.ends_with(".ipynb");
    if (!notebook && !file.path.ends_with(".pth")) {
      out.files.push_back(file);
      continue;
    }
    codes.emplace_back(file, notebook ? notebook_code(as_bytes(text), room) : path_file_code(text));
    room -= std::min(room, codes.back().second.size());
  }
  std::uint64_t end = bytes.size();
  for (const auto& [file, code]: codes) {
    out.files.push_back({file.path, end, code.size(), file.when, file.begin});
    end += code.size();
  }
  const char* const before = bytes.data();
  out.bytes.reserve(static_cast<std::size_t>(end));
  out.bytes = bytes;
  for (const auto& [file, code]: codes)
    out.bytes += code;
  for (RepositoryFile& file: out.files)
    file.path = std::string_view(out.bytes).substr(
        static_cast<std::size_t>(file.path.data() - before), file.path.size());
  return out;
}

Reading scan(Source& source, Session& session) {
  // What code of the repository holds in itself is no repository.
  if (!session.is_object()) return Reading::none;
  constexpr std::size_t k_step = std::size_t{1} << 20;
  std::string bytes;
  for (Bytes piece = source.some(0, k_step); !piece.empty();
       piece = source.some(bytes.size(), k_step)) {
    if (bytes.size() + piece.size() > k_max_repository + k_max_modules * (k_max_path + 16)) {
      session.gap(Reason::budget, Reach::load, bytes.size(), "more code than is analysed together");
      return Reading::broken;
    }
    bytes += as_text(piece);
  }
  const auto files = read_bundle(as_bytes(bytes));
  if (!files) {
    session.gap(Reason::malformed, Reach::load, 0, files.error().message);
    return Reading::broken;
  }
  const Recovered code = recovered(bytes, *files);
  analyse_repository(code.bytes, code.files, session);
  return Reading::valid;
}

} // namespace

BundleWriter::BundleWriter() : bytes_(k_magic) {}

bool BundleWriter::has_room(std::string_view path, std::uint64_t length) const {
  return places_.size() < k_max_modules && path.size() <= k_max_path &&
         length <= k_max_repository && text_bytes_ + length <= k_max_repository;
}

bool BundleWriter::add(std::string_view path, std::string_view text, When when) {
  if (!has_room(path, text.size())) return false;
  text_bytes_ += text.size();
  bytes_ += static_cast<char>(when);
  put32(bytes_, path.size());
  put32(bytes_, text.size());
  bytes_ += path;
  places_.push_back({std::string(path), bytes_.size(), text.size()});
  bytes_ += text;
  return true;
}

const BundleWriter::Text* BundleWriter::find(std::uint64_t offset) const {
  const auto next =
      std::upper_bound(places_.begin(), places_.end(), offset,
                       [](std::uint64_t value, const Text& text) { return value < text.begin; });
  if (next == places_.begin()) return nullptr;
  const Text& text = *std::prev(next);
  return offset - text.begin > text.length ? nullptr : &text;
}

void BundleWriter::name_files(Report& report) const {
  const auto name = [this](std::string& where, std::uint64_t& offset) {
    const Text* text = find(offset);
    where = text == nullptr ? std::string() : escaped(text->path);
    offset = text == nullptr ? 0 : offset - text->begin;
  };
  for (Finding& finding: report.findings)
    name(finding.where, finding.offset);
  for (Gap& gap: report.gaps)
    name(gap.where, gap.offset);
}

Result<std::vector<RepositoryFile>> read_bundle(Bytes bundle) {
  Reader reader(bundle);
  const auto magic = reader.take(k_magic.size());
  if (!magic || as_text(*magic) != k_magic) return Error{"no bundle of a repository"};
  std::vector<RepositoryFile> files;
  while (!reader.at_end()) {
    const auto when = reader.le<std::uint8_t>();
    const auto path_size = reader.le<std::uint32_t>();
    const auto text_size = reader.le<std::uint32_t>();
    if (!when || !path_size || !text_size || *path_size > k_max_path)
      return Error{"a broken bundle of a repository"};
    const auto path = reader.take(*path_size);
    const std::uint64_t begin = reader.position();
    if (!path || !reader.skip(*text_size)) return Error{"a broken bundle of a repository"};
    if (files.size() >= k_max_modules) return Error{"a bundle of too many files"};
    files.push_back(
        {as_text(*path), begin, *text_size, *when == 0 ? When::at_load : When::on_call});
  }
  return files;
}

extern const Format format_repository;
const Format format_repository{.name = "repository",
                               .family = "repository",
                               .probe = probe,
                               .scan = scan,
                               .rules = python_rules()};

} // namespace hubgate::python
