#include "hook/lfs/pending.hpp"

#include "policy/audit.hpp"
#include "scanner/core/evidence.hpp"

#include <algorithm>
#include <list>
#include <map>

namespace hubgate {
namespace json = boost::json;
namespace {

constexpr std::string_view k_pending = "lfs-pending";
constexpr std::string_view k_settled = "lfs-settled";
constexpr std::size_t k_path_max = 4096;

std::string text_of(const json::object& fields, std::string_view key) {
  const auto* value = fields.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::string key_of(const PendingLfs& one) {
  return one.git_dir + '\0' + one.repo + '\0' + one.oid + '\0' + one.path;
}

json::object fields_of(const PendingLfs& one) {
  return {{"git_dir", one.git_dir}, {"repo", one.repo}, {"oid", one.oid},       {"size", one.size},
          {"path", one.path},       {"ref", one.ref},   {"commit", one.commit}, {"user", one.user}};
}

PendingLfs pending_from(const json::object& fields) {
  PendingLfs out;
  out.git_dir = text_of(fields, "git_dir");
  out.repo = text_of(fields, "repo");
  out.oid = text_of(fields, "oid");
  out.path = text_of(fields, "path");
  out.ref = text_of(fields, "ref");
  out.commit = text_of(fields, "commit");
  out.user = text_of(fields, "user");
  out.since = text_of(fields, "time");
  if (const auto* size = fields.if_contains("size"); size != nullptr && size->is_int64())
    out.size = static_cast<std::uint64_t>(std::max<std::int64_t>(size->get_int64(), 0));
  return out;
}

} // namespace

Result<void> note_pending(Authority& authority, const HookEnvironment& environment,
                          const std::vector<git::RefUpdate>& updates,
                          const std::vector<Item>& items) {
  for (const auto& item: items)
    for (const auto& [oid, size]: item.missing) {
      PendingLfs one;
      one.git_dir = printable(environment.git_dir.string(), k_path_max);
      one.repo = printable(environment.repo, 300);
      one.oid = oid;
      one.size = size;
      one.path = printable(item.context.path, k_path_max);
      if (item.place.ref < updates.size()) one.ref = printable(updates[item.place.ref].name, 300);
      one.commit = item.place.commit.hex();
      one.user = printable(environment.user, 200);
      if (auto told = authority.event(k_pending, fields_of(one)); !told) return told;
    }
  return {};
}

Result<std::vector<PendingLfs>> pending_objects(const std::filesystem::path& audit) {
  std::list<PendingLfs> owed;
  std::map<std::string, std::list<PendingLfs>::iterator> known;
  const auto read = read_audit(audit, 0, [&](const AuditLog::Line&, const json::object& fields) {
    const std::string event = text_of(fields, "event");
    if (event != k_pending && event != k_settled) return true;
    PendingLfs one = pending_from(fields);
    const std::string key = key_of(one);
    if (const auto at = known.find(key); at != known.end()) {
      if (event == k_pending) return true; // the oldest counts
      owed.erase(at->second);
      known.erase(at);
    } else if (event == k_pending) {
      known.emplace(key, owed.insert(owed.end(), std::move(one)));
    }
    return true;
  });
  if (!read) return read.error();
  return std::vector<PendingLfs>(owed.begin(), owed.end());
}

Result<void> settle_pending(Authority& authority, const PendingLfs& one, std::string_view outcome,
                            std::string_view decision) {
  json::object fields = fields_of(one);
  fields["outcome"] = outcome;
  fields["decision"] = decision;
  return authority.event(k_settled, fields);
}

} // namespace hubgate
