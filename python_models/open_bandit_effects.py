def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "open_bandit",
        dbt.config.meta_get("study"),
        units=dbt.ref("open_bandit_units"),
        gates=dbt.ref("open_bandit_gates"),
        session=session,
    )
