-- An operator lets the jobs of a paused language pair go to nodes again.
-- FIELDS: src_lang:lang tgt_lang:lang reason?:text request_id?:id
-- ONCE: src_lang tgt_lang
local pair = pair_of(src_lang, tgt_lang)
set_pause('pair ' .. pair, false)
mark_dirty('pair', pair)
