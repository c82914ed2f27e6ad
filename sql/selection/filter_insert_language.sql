-- What $detector recognised, out of `languages_now`; another process may have been first.
insert or ignore into store.language
select content_sha256, $detector, language from languages_now;
