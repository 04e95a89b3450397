// A decision as JSON: the audit line's fields, and the store's row.
#include "policy/store.hpp"

namespace hubgate {
namespace json = boost::json;
namespace {

json::array array_of(const std::vector<std::string>& items) {
  json::array out;
  for (const auto& item: items)
    out.emplace_back(item);
  return out;
}

std::vector<std::string> strings_of(const json::object& fields, std::string_view key) {
  std::vector<std::string> out;
  const json::value* value = fields.if_contains(key);
  if (value == nullptr || !value->is_array()) return out;
  for (const auto& item: value->get_array())
    if (item.is_string()) out.emplace_back(item.get_string());
  return out;
}

std::string text_of(const json::object& fields, std::string_view key) {
  const json::value* value = fields.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

} // namespace

json::object to_json(const DecisionRecord& record) {
  const Context& context = record.context;
  const Decision& decision = record.decision;
  json::object out;
  out["time"] = to_iso(record.time);
  out["event"] = "decision";
  out["id"] = decision.id;
  out["who"] = context.user;
  if (!context.groups.empty()) out["groups"] = array_of(context.groups);
  out["from"] = context.from;
  out["client"] = context.client;
  out["direction"] = to_string(context.direction);
  out["road"] = to_string(context.road);
  out["hub"] = context.hub;
  out["repo"] = context.repo;
  out["revision"] = context.revision;
  out["path"] = context.path;
  if (context.sha256) out["sha256"] = hex(*context.sha256);
  out["size"] = context.size;
  out["format"] = record.format;
  out["verdict"] = to_string(decision.verdict);
  out["inconclusive"] = decision.inconclusive;
  out["decision"] = to_string(decision.action);
  out["would_be"] = to_string(decision.would_be);
  out["mode"] = to_string(decision.mode);
  out["rule"] = decision.rule;
  out["would_be_rule"] = decision.would_be_rule;
  out["reason"] = decision.reason;
  out["findings"] = array_of(record.finding_rules);
  if (!decision.blockers.empty()) out["blockers"] = array_of(decision.blockers);
  if (decision.waiver) out["waiver"] = *decision.waiver;
  out["policy"] = record.policy;
  if (!record.report.empty()) out["report"] = record.report;
  return out;
}

Result<DecisionRecord> decision_from_json(const json::object& fields) {
  DecisionRecord out;
  const auto time = from_iso(text_of(fields, "time"));
  const auto direction = direction_from(text_of(fields, "direction"));
  const auto road = road_from(text_of(fields, "road"));
  const auto verdict = verdict_kind_from(text_of(fields, "verdict"));
  const auto action = action_from(text_of(fields, "decision"));
  const auto would_be = action_from(text_of(fields, "would_be"));
  const auto mode = mode_from(text_of(fields, "mode"));
  out.decision.id = text_of(fields, "id");
  if (!time || !direction || !road || !verdict || !action || !would_be || !mode ||
      out.decision.id.empty())
    return Error{"a recorded decision lacks a field or holds an unknown word"};
  out.time = *time;
  Context& context = out.context;
  context.user = text_of(fields, "who");
  context.groups = strings_of(fields, "groups");
  context.from = text_of(fields, "from");
  context.client = text_of(fields, "client");
  context.direction = *direction;
  context.road = *road;
  context.hub = text_of(fields, "hub");
  context.repo = text_of(fields, "repo");
  context.revision = text_of(fields, "revision");
  context.path = text_of(fields, "path");
  context.sha256 = sha256_from_hex(text_of(fields, "sha256"));
  if (const json::value* size = fields.if_contains("size"); size != nullptr && size->is_number()) {
    boost::system::error_code error;
    context.size = size->to_number<std::uint64_t>(error);
  }
  Decision& decision = out.decision;
  decision.verdict = *verdict;
  decision.action = *action;
  decision.would_be = *would_be;
  decision.mode = *mode;
  if (const json::value* flag = fields.if_contains("inconclusive");
      flag != nullptr && flag->is_bool())
    decision.inconclusive = flag->get_bool();
  decision.rule = text_of(fields, "rule");
  decision.would_be_rule = text_of(fields, "would_be_rule");
  decision.reason = text_of(fields, "reason");
  decision.blockers = strings_of(fields, "blockers");
  if (const json::value* waiver = fields.if_contains("waiver");
      waiver != nullptr && waiver->is_int64())
    decision.waiver = waiver->get_int64();
  out.finding_rules = strings_of(fields, "findings");
  out.format = text_of(fields, "format");
  out.policy = text_of(fields, "policy");
  out.report = text_of(fields, "report");
  return out;
}

} // namespace hubgate
