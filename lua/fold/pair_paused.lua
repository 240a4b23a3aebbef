-- An operator keeps the jobs of a language pair waiting, in every pool that serves it; jobs that nodes hold go on.
-- FIELDS: src_lang:lang tgt_lang:lang reason?:text request_id?:id
-- ONCE: src_lang tgt_lang
local pair = pair_of(src_lang, tgt_lang)
set_pause('pair ' .. pair, true, reason)
mark_dirty('pair', pair)
