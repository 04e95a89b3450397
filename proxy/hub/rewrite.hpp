#pragma once
// What the gate changes in the hub's JSON and fields: Xet is negotiated away, and no address of the
// upstream reaches a client that would follow it with its token.
#include "proxy/hub/url.hpp"

namespace hubgate::proxy {

/// JSON without "xetHash" members and with every string that is a URL of `upstream` turned into one
/// of `gate` ("https://gate:8443"). The bytes stay as they are when nothing has to change. An error
/// when it is no JSON, or nested too deeply.
Result<std::string> rewrite_json(std::string_view json, const Origin& upstream,
                                 std::string_view gate);

/// A Link field: members about Xet removed, URLs of the upstream turned into the gate's, URLs of
/// others dropped with their member. May become empty.
std::string rewrite_link(std::string_view link, const Origin& upstream, std::string_view gate);

/// An Accept field without the media type that asks for Xet; empty when nothing is left.
std::string accept_without_xet(std::string_view accept);

} // namespace hubgate::proxy
