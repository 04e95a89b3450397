// `hubgate cache stat|verify|prune|pin`: the folder of a cache, whether its gate runs or not.
#include "policy/commands/shared.hpp"
#include "policy/yaml.hpp"
#include "proxy/cache/cache.hpp"
#include "scanner/core/evidence.hpp"

#include <boost/json.hpp>

#include <fcntl.h>
#include <iostream>
#include <sys/file.h>
#include <unistd.h>

namespace hubgate::proxy {

namespace {

namespace fs = std::filesystem;

struct Folder {
  fs::path data;
  std::string dir;

  fs::path path() const { return dir.empty() ? data / "cache" : fs::path(dir); }
};

void add_folder_flags(CLI::App& verb, Folder& folder) {
  add_data_flag(verb, folder.data);
  verb.add_option("--dir", folder.dir, "the cache's folder, if cache.path names one (DATA/cache)");
}

std::string shown_size(std::uint64_t bytes) {
  static constexpr std::array<const char*, 5> k_units{"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < k_units.size()) {
    value /= 1024;
    ++unit;
  }
  std::array<char, 32> text{};
  const int n = std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", value,
                              k_units[unit]);
  return {text.data(), static_cast<std::size_t>(n)};
}

std::string shown_time(std::int64_t micros) {
  return to_iso(micros / 1'000'000);
}

// Whether a gate has the folder now.
bool in_use(const fs::path& dir) {
  const Fd lock(::open((dir / "lock").c_str(), O_RDWR | O_CLOEXEC));
  return lock && ::flock(lock.get(), LOCK_SH | LOCK_NB) != 0;
}

// As Cache::evict(): the entry goes before its bytes.
Result<bool> remove_entry(CacheIndex& index, const fs::path& dir, const Sha256& sha256) {
  const bool removed = HUBGATE_TRY(index.remove(sha256));
  ::unlink(Cache::object_file(dir, sha256).c_str());
  return removed;
}

constexpr std::size_t k_all = ~std::size_t{0} >> 1;

struct Stat : Folder {
  bool json = false;
};

int stat(const Stat& flags) {
  const fs::path dir = flags.path();
  auto index = CacheIndex::open(dir, false);
  if (!index) return complain(index.error().message, exit_error);
  const auto totals = (*index)->totals();
  if (!totals) return complain(totals.error().message, exit_error);
  const auto oldest = (*index)->objects(1, false);
  if (!oldest) return complain(oldest.error().message, exit_error);
  const std::string use = oldest->empty() ? "" : shown_time(oldest->front().used);
  if (flags.json) {
    boost::json::object out;
    out["objects"] = totals->objects;
    out["bytes"] = totals->bytes;
    out["pinned"] = totals->pinned;
    out["pinned_bytes"] = totals->pinned_bytes;
    out["answers"] = totals->answers;
    out["pages"] = totals->pages;
    out["page_bytes"] = totals->page_bytes;
    out["oldest_use"] = use;
    out["in_use"] = in_use(dir);
    std::cout << boost::json::serialize(out) << "\n";
    return exit_ok;
  }
  std::cout << "folder:   " << printable(dir.string(), 300)
            << (in_use(dir) ? " (a gate uses it)" : " (no gate uses it)") << "\n"
            << "objects:  " << totals->objects << ", " << shown_size(totals->bytes) << "\n"
            << "pinned:   " << totals->pinned << ", " << shown_size(totals->pinned_bytes) << "\n"
            << "answers:  " << totals->answers << " of files, " << totals->pages << " listings ("
            << shown_size(totals->page_bytes) << ")\n";
  if (!use.empty()) std::cout << "oldest:   last used " << use << "\n";
  return exit_ok;
}

struct Verify : Folder {
  bool keep = false;
};

// Whether the file is what its name says. Nothing: it is gone.
std::optional<bool> sound(const fs::path& file, const CachedObject& object) {
  const Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return std::nullopt;
  BlockHasher hasher;
  std::vector<std::uint8_t> buffer(std::size_t{1} << 20);
  for (;;) {
    const ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    if (n == 0) break;
    hasher.update(std::span(buffer).first(static_cast<std::size_t>(n)));
  }
  const ObjectDigest digest = hasher.finish();
  return digest.sha256 == object.sha256 && digest.size == object.size;
}

int verify(const Verify& flags) {
  const fs::path dir = flags.path();
  auto index = CacheIndex::open(dir, false);
  if (!index) return complain(index.error().message, exit_error);
  const auto objects = (*index)->objects(k_all, false);
  if (!objects) return complain(objects.error().message, exit_error);
  std::size_t bad = 0;
  for (const CachedObject& object: *objects) {
    const auto good = sound(Cache::object_file(dir, object.sha256), object);
    if (good && *good) continue;
    // A running gate may have removed it while we looked.
    const auto still = (*index)->find(object.sha256);
    if (!still) return complain(still.error().message, exit_error);
    if (!*still) continue;
    ++bad;
    std::cout << hex(object.sha256) << (good ? ": other bytes" : ": missing");
    if (!flags.keep) {
      const auto removed = remove_entry(**index, dir, object.sha256);
      if (!removed) return complain(removed.error().message, exit_error);
      std::cout << ", removed";
    }
    std::cout << "\n";
  }
  std::cout << objects->size() - bad << " objects are what their names say, " << bad
            << " are not\n";
  return bad == 0 ? exit_ok : exit_found;
}

struct Prune : Folder {
  std::string to, older;
  bool all = false, pinned = false;
  std::vector<std::string> objects;
};

int prune(const Prune& flags) {
  const auto size = yaml::size_from(flags.to);
  const auto age = yaml::duration_from(flags.older);
  if (!flags.to.empty() && !size) return complain("--to: no size (e.g. 20GiB)", exit_usage);
  if (!flags.older.empty() && !age) return complain("--older: no time (e.g. 30d)", exit_usage);
  if (!size && !age && !flags.all && flags.objects.empty())
    return complain("say what: objects by sha256, --to, --older or --all", exit_usage);
  const fs::path dir = flags.path();
  auto index = CacheIndex::open(dir, false);
  if (!index) return complain(index.error().message, exit_error);
  const auto objects = (*index)->objects(k_all, !flags.pinned && flags.objects.empty());
  const auto totals = (*index)->totals();
  if (!objects || !totals) return complain("the cache's index can't be read", exit_error);
  const std::int64_t before =
      age ? (now() - std::chrono::duration_cast<std::chrono::seconds>(*age).count()) * 1'000'000
          : 0;
  std::uint64_t left = totals->bytes;
  std::size_t removed = 0;
  std::uint64_t bytes = 0;
  for (const CachedObject& object: *objects) {
    bool goes = flags.all || (age && object.used < before) || (size && left > *size);
    for (const std::string& name: flags.objects)
      goes = goes || (name.size() >= 8 && hex(object.sha256).starts_with(name));
    if (!goes) continue;
    const auto done = remove_entry(**index, dir, object.sha256);
    if (!done) return complain(done.error().message, exit_error);
    ++removed;
    bytes += object.size;
    left -= std::min(left, object.size);
  }
  std::cout << removed << " removed, " << shown_size(bytes) << "\n";
  return exit_ok;
}

struct Pin : Folder {
  std::vector<std::string> what;
  bool remove = false;
};

int pin(const Pin& flags) {
  auto index = CacheIndex::open(flags.path(), false);
  if (!index) return complain(index.error().message, exit_error);
  std::size_t changed = 0;
  for (const std::string& what: flags.what) {
    std::vector<Sha256> objects;
    if (const auto digest = sha256_from_hex(what)) {
      objects.push_back(*digest);
    } else {
      const std::size_t at = what.rfind('@');
      auto found = (*index)->objects_of(what.substr(0, at),
                                        at == std::string::npos ? "" : what.substr(at + 1));
      if (!found) return complain(found.error().message, exit_error);
      objects = std::move(*found);
    }
    std::size_t here = 0;
    for (const Sha256& object: objects) {
      const auto done = (*index)->pin(object, !flags.remove);
      if (!done) return complain(done.error().message, exit_error);
      here += *done ? 1 : 0;
    }
    if (here == 0)
      return complain("nothing of " + printable(what, 200) + " is in the cache", exit_found);
    changed += here;
  }
  std::cout << changed << (flags.remove ? " no longer pinned\n" : " pinned\n");
  return exit_ok;
}

template <typename Flags>
void add(CLI::App& app, int& exit_code, const char* name, const char* summary,
         int (*run)(const Flags&), void (*set_up)(CLI::App&, Flags&)) {
  auto flags = std::make_shared<Flags>();
  CLI::App& verb = *app.add_subcommand(name, summary);
  set_up(verb, *flags);
  add_folder_flags(verb, *flags);
  verb.callback([flags, run, &exit_code] { exit_code = run(*flags); });
}

void set_up(CLI::App& app, int& exit_code) {
  app.require_subcommand(1);
  add<Stat>(app, exit_code, "stat", "what is in it", stat, [](CLI::App& verb, Stat& flags) {
    verb.add_flag("--json", flags.json, "for programs");
  });
  add<Verify>(
      app, exit_code, "verify", "hash every object again and remove what is damaged", verify,
      [](CLI::App& verb, Verify& flags) { verb.add_flag("--keep", flags.keep, "only tell"); });
  add<Prune>(app, exit_code, "prune", "remove objects; pinned ones only by name or with --pinned",
             prune, [](CLI::App& verb, Prune& flags) {
               verb.add_option("SHA256", flags.objects, "sha256 or the first 8 digits or more");
               verb.add_option("--to", flags.to, "SIZE that may stay; the least recently used go");
               verb.add_option("--older", flags.older, "what was not used for so long (30d)");
               verb.add_flag("--all", flags.all, "everything");
               verb.add_flag("--pinned", flags.pinned, "pinned ones too");
             });
  add<Pin>(app, exit_code, "pin", "keep objects whatever has to make room; a verdict still counts",
           pin, [](CLI::App& verb, Pin& flags) {
             verb.add_option("WHAT", flags.what,
                             "REPO, REPO@REV (as it was asked for) or a whole sha256")
                 ->required();
             verb.add_flag("--remove", flags.remove, "let them go again");
           });
}

} // namespace

} // namespace hubgate::proxy

namespace hubgate {
extern const Verb verb_cache;
const Verb verb_cache{"cache", "what the gate keeps on disk: look, check, remove, pin",
                      proxy::set_up};
} // namespace hubgate
