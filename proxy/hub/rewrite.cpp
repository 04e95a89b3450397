#include "proxy/hub/rewrite.hpp"

#include "proxy/http/head.hpp"

#include <boost/json.hpp>

#include <algorithm>

namespace hubgate::proxy {

namespace json = boost::json;

namespace {

constexpr std::size_t k_max_depth = 64;

// The rest of `text` behind the upstream's origin, when it is a URL of it (with or without the
// default port written out, scheme and host in any case).
std::optional<std::string> behind_origin(std::string_view text, const Origin& upstream) {
  if (text.size() < 8 || !(equals_ignoring_case(text.substr(0, 7), "http://") ||
                           equals_ignoring_case(text.substr(0, 8), "https://")))
    return std::nullopt;
  const std::size_t host = text.find("//") + 2;
  const std::size_t end = std::min(text.find_first_of("/?#", host), text.size());
  auto url = parse_url(text.substr(0, end));
  if (!url || url->origin.host != upstream.host) return std::nullopt;
  return std::string(text.substr(end));
}

bool rewrite_value(json::value& root, const Origin& upstream, std::string_view gate) {
  bool changed = false;
  std::vector<json::value*> todo = {&root};
  while (!todo.empty()) {
    json::value& value = *todo.back();
    todo.pop_back();
    if (auto* object = value.if_object()) {
      changed = object->erase("xetHash") > 0 || changed;
      for (auto& member: *object)
        todo.push_back(&member.value());
    } else if (auto* array = value.if_array()) {
      for (auto& item: *array)
        todo.push_back(&item);
    } else if (auto* text = value.if_string()) {
      if (const auto rest = behind_origin(std::string_view(text->data(), text->size()), upstream)) {
        value = std::string(gate) + *rest;
        changed = true;
      }
    }
  }
  return changed;
}

} // namespace

Result<std::string> rewrite_json(std::string_view text, const Origin& upstream,
                                 std::string_view gate) {
  json::parse_options options;
  options.max_depth = k_max_depth;
  boost::system::error_code error;
  json::value value = json::parse(json::string_view(text.data(), text.size()), error, {}, options);
  if (error) return Error{"the upstream's answer is no JSON: " + error.message()};
  if (!rewrite_value(value, upstream, gate)) {
    // A duplicate key shows one value to us and may show another to the client.
    if (text.find("xetHash") == std::string_view::npos && text.find('\\') == std::string_view::npos)
      return std::string(text);
  }
  return std::string(json::serialize(value));
}

std::string rewrite_link(std::string_view link, const Origin& upstream, std::string_view gate) {
  std::string out;
  std::size_t at = 0;
  while (at < link.size()) {
    const std::size_t open = link.find('<', at);
    const std::size_t close = open == std::string_view::npos ? open : link.find('>', open);
    if (close == std::string_view::npos) break;
    // The member ends at the next comma that is not inside quotes.
    std::size_t end = close + 1;
    bool quoted = false;
    while (end < link.size() && (quoted || link[end] != ',')) {
      if (link[end] == '"') quoted = !quoted;
      ++end;
    }
    const std::string_view target = link.substr(open + 1, close - open - 1);
    const std::string_view parameters = link.substr(close + 1, end - close - 1);
    at = end + 1;
    if (lower(parameters).find("xet") != std::string::npos) continue;
    std::string rewritten;
    if (target.starts_with("/") && !target.starts_with("//")) {
      rewritten = std::string(gate) + std::string(target);
    } else if (const auto rest = behind_origin(target, upstream)) {
      rewritten = std::string(gate) + *rest;
    } else {
      continue;
    }
    if (!out.empty()) out += ", ";
    out += "<" + rewritten + ">" + std::string(parameters);
  }
  return out;
}

std::string accept_without_xet(std::string_view accept) {
  std::string out;
  while (!accept.empty()) {
    const std::size_t comma = std::min(accept.find(','), accept.size());
    const auto item = trimmed(accept.substr(0, comma));
    accept.remove_prefix(std::min(comma + 1, accept.size()));
    if (item.empty() || lower(item).find("xet") != std::string::npos) continue;
    if (!out.empty()) out += ", ";
    out += item;
  }
  return out;
}

} // namespace hubgate::proxy
