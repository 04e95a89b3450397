#include "hook/lfs_store.hpp"

namespace hubgate {

LfsStore::LfsStore(const HookConfig& config, const HookEnvironment& environment,
                   std::string scratch)
    : config_(config.lfs),
      world_{environment.git_dir, environment.repo, std::move(scratch), [] { return true; }} {
  if (config.timeout <= 0) return;
  // A source that hangs must not outlast the push.
  const auto end = std::chrono::steady_clock::now() +
                   std::chrono::milliseconds(static_cast<std::int64_t>(config.timeout * 1000));
  world_.go_on = [end] { return std::chrono::steady_clock::now() < end; };
}

// At the first pointer: most pushes need no source at all.
Result<void> LfsStore::make_sources() {
  if (sources_.empty()) sources_ = HUBGATE_TRY(make_lfs_sources(config_, world_));
  return {};
}

Result<Judge::Fetched> LfsStore::fetch(const LfsWanted& wanted) {
  for (const auto& source: sources_) {
    auto fetched = source->fetch(wanted);
    if (!fetched)
      return Error{"the LFS object " + wanted.oid.substr(0, 12) + " can't be had from " +
                   source->name() + ": " + fetched.error().message};
    if (fetched->file) return fetched;
  }
  return Judge::Fetched{};
}

// The verdict belongs to the hash: where the server refuses bytes under a wrong id, a record of the
// id is a record of the object.
Result<void> LfsStore::take_records(const std::vector<LfsWanted>& objects, Authority& authority) {
  std::vector<ObjectKey> keys;
  std::vector<const LfsWanted*> asked;
  for (const auto& wanted: objects) {
    const auto sha256 = sha256_from_hex(wanted.oid);
    if (!sha256 || !wanted.size || objects_.contains(wanted.oid)) continue;
    keys.push_back({*sha256, *wanted.size});
    asked.push_back(&wanted);
  }
  if (keys.empty()) return {};
  auto reports = HUBGATE_TRY(authority.known(keys));
  for (std::size_t i = 0; i < reports.size() && i < keys.size(); ++i) {
    if (!reports[i]) continue;
    Object& object = objects_[asked[i]->oid];
    object.from_record = std::make_unique<Judged>();
    object.judged = object.from_record.get();
    object.judged->digest.sha256 = keys[i].sha256;
    object.judged->digest.size = keys[i].size;
    object.judged->report = std::move(*reports[i]);
  }
  return {};
}

Result<void> LfsStore::want(const std::vector<LfsWanted>& objects, Judge& judge,
                            Authority& authority) {
  if (objects.empty()) return {};
  if (config_.known == LfsConfig::Known::accept)
    if (auto taken = take_records(objects, authority); !taken) return taken;
  if (auto made = make_sources(); !made) return made;
  for (const auto& wanted: objects)
    if (const auto [at, fresh] = objects_.try_emplace(wanted.oid); fresh)
      at->second.judged = &judge.fetch([this, wanted] { return fetch(wanted); });
  return {};
}

const LfsStore::Object* LfsStore::find(const std::string& oid) const {
  const auto at = objects_.find(oid);
  if (at == objects_.end() || at->second.judged == nullptr || at->second.judged->absent)
    return nullptr;
  return &at->second;
}

LfsObjects LfsStore::objects() const {
  return {[this](const std::string& oid) -> const Judged* {
            const Object* object = find(oid);
            return object == nullptr ? nullptr : object->judged;
          },
          may_be_late()};
}

Result<Fd> LfsStore::open(const std::string& oid, std::uint64_t size) {
  if (auto made = make_sources(); !made) return made.error();
  auto fetched = HUBGATE_TRY(fetch({oid, size}));
  return std::move(fetched.file);
}

} // namespace hubgate
