-- Without a primary key a changed row cannot be matched: a column that updates itself is named and turned down, and a unique key that holds NULLs is no substitute.
CREATE TABLE `tempschedule_bak_20200424` (
  `ScheduleNum` bigint(20) NOT NULL,
  `SchedDate` date NOT NULL DEFAULT '0001-01-01',
  `DateTStamp` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp()
) ENGINE=MyISAM;

CREATE TABLE `zz_by_unique` (
  `Code` varchar(20) DEFAULT NULL,
  `Changed` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  UNIQUE KEY `Code` (`Code`)
) ENGINE=MyISAM;

CREATE TABLE `import_scratch` (
  `row` int(11) NOT NULL,
  `_column` varchar(255) DEFAULT NULL
) ENGINE=MyISAM;

INSERT INTO `tempschedule_bak_20200424` (`ScheduleNum`) SELECT seq FROM seq_1_to_60000;
