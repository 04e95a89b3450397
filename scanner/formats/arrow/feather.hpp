#pragma once
// Feather 1 (feather.fbs): columns one after the other, and a table of them at the end.
#include "scanner/formats/arrow/batch.hpp"

namespace hubgate::arrow {

bool is_feather_one(Bytes head);

Reading scan_feather_one(Source& source, Session& session, const BatchRules& rules);

} // namespace hubgate::arrow
