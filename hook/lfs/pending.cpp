#include "hook/lfs/pending.hpp"

#include "scanner/core/evidence.hpp"

#include <algorithm>

namespace hubgate {
namespace json = boost::json;
namespace {

constexpr std::size_t k_path_max = 4096;

std::string text_of(const json::object& fields, std::string_view key) {
  const auto* value = fields.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
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
      if (auto told = authority.event(k_lfs_pending, fields_of(one)); !told) return told;
    }
  return {};
}

Result<std::vector<PendingLfs>> pending_objects(Store& store) {
  std::vector<PendingLfs> out;
  for (const OwedRecord& owed: HUBGATE_TRY(store.owed())) {
    boost::system::error_code error;
    const auto value = json::parse(owed.record, error);
    if (error || !value.is_object()) return Error{"store: what is owed is damaged"};
    PendingLfs& one = out.emplace_back(pending_from(value.get_object()));
    one.since = to_iso(owed.made);
    one.key = owed.key;
  }
  return out;
}

Result<void> settle_pending(Gatekeeper& keeper, const PendingLfs& one, std::string_view outcome,
                            std::string_view decision) {
  json::object fields = fields_of(one);
  fields["outcome"] = outcome;
  fields["decision"] = decision;
  if (auto told = keeper.event(k_lfs_settled, fields); !told) return told;
  return keeper.store().drop_owed(one.key);
}

} // namespace hubgate
